package proof

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// RootType is the typ of the statement of a root (RFC 8725, section 3.11).
const RootType = "mana-root+jwt"

// buckets is how many trees stand below a root, so that an inclusion proof reads one
// part in so many of the accounts.
const buckets = 256

// String is the hash in hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements [encoding.TextMarshaler], see [Hash.String].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("%q is no SHA-256 in hexadecimal digits", text)
	}
	copy(h[:], raw)
	return nil
}

// Root is what all accounts came to at the end of a day. Statement is the signed form
// of a [RootStatement].
type Root struct {
	Day       time.Time
	MadeAt    time.Time
	Accounts  int64
	Hash      Hash
	Statement string
}

// RootStatement is what the signature of a root is over.
type RootStatement struct {
	Issuer   string `json:"iss"`
	IssuedAt int64  `json:"iat"`
	Day      string `json:"day"` // such as 2026-11-29, UTC
	Accounts int64  `json:"accounts"`
	Root     Hash   `json:"root"`
	// Previous is the root before it, nil in the first.
	Previous *PreviousRoot `json:"previous,omitempty"`
}

// PreviousRoot is the root that another one follows.
type PreviousRoot struct {
	Day  string `json:"day"`
	Root Hash   `json:"root"`
}

// rootRow is a row of credits.roots.
type rootRow struct {
	Day       time.Time
	MadeAt    time.Time
	Accounts  int64
	Hash      []byte
	Buckets   []byte
	Statement string
}

const rootColumns = `day, made_at, accounts, hash, buckets, statement`

func (r rootRow) root() Root {
	root := Root{Day: r.Day, MadeAt: r.MadeAt, Accounts: r.Accounts, Statement: r.Statement}
	copy(root.Hash[:], r.Hash)
	return root
}

// rootLock makes edges that want to make a root leave it to one.
const rootLock = `SELECT pg_try_advisory_xact_lock(hashtextextended('credits.roots', 0))`

// noteHeads notes where the accounts stand whose chain has gone on since they were
// noted last. It takes accounts in the order of their names, $2 of them after $1.
const noteHeads = `
	WITH page AS (
		SELECT b.user_id, b.sequence FROM credits.balances AS b
		WHERE b.user_id > $1 ORDER BY b.user_id LIMIT $2
	), noted AS (
		INSERT INTO credits.checkpoints (user_id, day, sequence, hash, bucket)
		SELECT p.user_id, $3, p.sequence, credits.chain_tail(p.user_id, p.sequence), get_byte(sha256(convert_to(p.user_id, 'UTF8')), 0)
		FROM page AS p
		LEFT JOIN LATERAL (SELECT c.sequence FROM credits.checkpoints AS c WHERE c.user_id = p.user_id ORDER BY c.day DESC LIMIT 1) AS c ON true
		WHERE p.sequence > coalesce(c.sequence, 0)
	)
	SELECT count(*) AS n, coalesce(max(user_id), '') AS last FROM page`

// headsPage is how many accounts are noted by one statement.
const headsPage = 5000

// MakeRoot makes the root of a day, which is over, unless it is there or nobody has a
// row yet; made reports whether it was made now. Another edge that is at it is left alone.
func (s *Service) MakeRoot(ctx context.Context, day time.Time) (root Root, made bool, err error) {
	day = DayOf(day)
	err = s.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, rootLock).Scan(&mine); err != nil || !mine {
			return err
		}
		type state struct{ Done, Some bool }
		before, err := dbscope.TxRow[state](ctx, tx,
			`SELECT EXISTS (SELECT FROM credits.roots WHERE day >= $1) AS done, EXISTS (SELECT FROM credits.balances WHERE sequence > 0) AS some`, day)
		if err != nil || before.Done || !before.Some {
			return err
		}
		for after := ""; ; {
			type page struct {
				N    int64
				Last string
			}
			p, err := dbscope.TxRow[page](ctx, tx, noteHeads, after, headsPage, day)
			if err != nil {
				return err
			}
			if after = p.Last; p.N < headsPage {
				break
			}
		}
		row, err := s.addUpTx(ctx, tx, day)
		if err != nil {
			return err
		}
		if row.Statement, err = s.stateTx(ctx, tx, row); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO credits.roots (`+rootColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
			row.Day, row.MadeAt, row.Accounts, row.Hash, row.Buckets, row.Statement)
		root, made = row.root(), err == nil
		return err
	})
	if err != nil {
		made = false
	}
	return root, made, err
}

// leavesSQL are where the accounts stood at the end of day $1, of the buckets from $2
// to $3.
const leavesSQL = `
	SELECT DISTINCT ON (c.bucket, c.user_id) c.bucket, c.user_id, c.sequence, c.hash
	FROM credits.checkpoints AS c
	WHERE c.day <= $1 AND c.bucket BETWEEN $2 AND $3
	ORDER BY c.bucket, c.user_id, c.day DESC`

// head is where an account stood.
type head struct {
	Bucket   int16
	UserID   string
	Sequence int64
	Hash     []byte
}

// leaf is the leaf of a tree that says so.
func (h head) leaf() Hash {
	e := newRecord(3)
	e.text(&h.UserID)
	e.integer(h.Sequence)
	e.bytes(h.Hash)
	return leafHash(e)
}

// addUpTx makes the trees of a day out of what was noted, without the statement.
func (s *Service) addUpTx(ctx context.Context, tx pgx.Tx, day time.Time) (rootRow, error) {
	var trees [buckets]tree
	rows, err := tx.Query(ctx, leavesSQL, day, 0, buckets-1)
	if err != nil {
		return rootRow{}, err
	}
	var h head
	_, err = pgx.ForEachRow(rows, []any{&h.Bucket, &h.UserID, &h.Sequence, &h.Hash}, func() error {
		trees[h.Bucket].add(h.leaf())
		return nil
	})
	row := rootRow{Day: day, MadeAt: s.now().UTC().Truncate(time.Second)}
	var top tree
	for i := range trees {
		hash := trees[i].root()
		row.Buckets = append(row.Buckets, hash[:]...)
		row.Accounts += trees[i].size
		top.add(leafHash(hash[:]))
	}
	hash := top.root()
	row.Hash = hash[:]
	return row, err
}

// stateTx signs a root and the one before it.
func (s *Service) stateTx(ctx context.Context, tx pgx.Tx, row rootRow) (string, error) {
	statement := RootStatement{
		Issuer: s.notary.Issuer(), IssuedAt: row.MadeAt.Unix(), Day: row.Day.Format(time.DateOnly), Accounts: row.Accounts, Root: row.root().Hash,
	}
	before, err := dbscope.TxRow[rootRow](ctx, tx, `SELECT `+rootColumns+` FROM credits.roots WHERE day < $1 ORDER BY day DESC LIMIT 1`, row.Day)
	switch {
	case err == nil:
		statement.Previous = &PreviousRoot{before.Day.Format(time.DateOnly), before.root().Hash}
	case !errors.Is(err, pgx.ErrNoRows):
		return "", err
	}
	payload, err := json.Marshal(statement)
	if err != nil {
		return "", err
	}
	return s.notary.SignProof(RootType, payload)
}

// Roots lists roots before a day, the latest first, limit of them. The zero time is
// after all.
func (s *Service) Roots(ctx context.Context, before time.Time, limit int) ([]Root, error) {
	list, err := dbscope.List[rootRow](ctx, s.db, dbscope.System(),
		`SELECT `+rootColumns+` FROM credits.roots WHERE $1::date IS NULL OR day < $1 ORDER BY day DESC LIMIT $2`, dayOrNull(before), limit)
	roots := make([]Root, len(list))
	for i, r := range list {
		roots[i] = r.root()
	}
	return roots, err
}

// RootOf is the root of a day. It fails with [ErrNoRoot].
func (s *Service) RootOf(ctx context.Context, day time.Time) (Root, error) {
	row, err := dbscope.One[rootRow](ctx, s.db, dbscope.System(), `SELECT `+rootColumns+` FROM credits.roots WHERE day = $1`, DayOf(day))
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoRoot
	}
	return row.root(), err
}

// Keys is the public JWK set that roots and receipts verify by.
func (s *Service) Keys() []byte { return s.notary.ProofKeys() }

func dayOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	day := DayOf(t)
	return &day
}
