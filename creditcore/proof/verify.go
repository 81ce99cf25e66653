package proof

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Kind is what is wrong with a row or a root.
type Kind string

// The kinds of breaches.
const (
	// Altered is a row that its hash does not fit, or that was put in the place of
	// another.
	Altered Kind = "altered"
	// Missing are rows that are not there.
	Missing Kind = "missing"
	// Unchained is a row without a hash behind one that has one.
	Unchained Kind = "unchained"
	// Rechained is a row whose hash is another than was noted of it: it was changed with
	// all that follow.
	Rechained Kind = "rechained"
	// RootBroken is a root that is not what its day's rows come to, or is not signed.
	RootBroken Kind = "root"
)

// Breach is something that was changed. Account, Sequence and ID name a row, ID is
// empty where the row is missing; Day names a root.
type Breach struct {
	Kind     Kind
	Account  string
	Sequence int64
	ID       string
	Day      time.Time
	Detail   string
}

// Scope is what is verified: of Account, or of all where that is empty, what came after
// the last root before Since, or everything for the zero time.
type Scope struct {
	Account string
	Since   time.Time
}

// Report counts what was verified. Unchained are rows from before there were hashes.
type Report struct {
	Accounts  int64
	Rows      int64
	Unchained int64
	Roots     int64
	Breaches  int64
}

// Verify walks the chains and the roots and calls found with each breach, whose error
// ends it. It reads the rows as a stream, and can be run beside edges that charge.
func (s *Service) Verify(ctx context.Context, scope Scope, found func(Breach) error) (Report, error) {
	v := verification{Service: s, scope: scope}
	v.found = func(b Breach) error {
		v.report.Breaches++
		return found(b)
	}
	for _, step := range []func(context.Context) error{v.chains, v.checkpoints, v.roots} {
		if err := step(ctx); err != nil {
			return v.report, err
		}
	}
	return v.report, nil
}

// verification is one run of [Service.Verify].
type verification struct {
	*Service
	scope  Scope
	report Report
	found  func(Breach) error
}

// chainPage is how many accounts one statement reads the rows of.
const chainPage = 500

// standing is an account as it says of itself, and where its chain is taken up.
type standing struct {
	UserID        string
	Sequence      int64
	ChainSequence *int64
	ChainHash     []byte
	FromSequence  *int64 // of the last checkpoint before the scope
	FromHash      []byte
}

const standingsSQL = `
	SELECT b.user_id, b.sequence, b.chain_sequence, b.chain_hash, c.sequence AS from_sequence, c.hash AS from_hash
	FROM credits.balances AS b
	LEFT JOIN LATERAL (
		SELECT c.sequence, c.hash FROM credits.checkpoints AS c
		WHERE c.user_id = b.user_id AND c.day < $2::date ORDER BY c.day DESC LIMIT 1
	) AS c ON true
	WHERE b.user_id > $1 AND ($3 = '' OR b.user_id = $3) AND b.sequence > 0
	ORDER BY b.user_id LIMIT $4`

const chainsSQL = `
	SELECT ` + rowColumns + `
	FROM unnest($1::text[], $2::bigint[]) AS a (user_id, first) JOIN credits.transactions AS t ON t.user_id = a.user_id AND t.sequence >= a.first
	ORDER BY t.user_id, t.sequence`

func (v *verification) chains(ctx context.Context) error {
	for after := ""; ; {
		var page []standing
		err := v.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, standingsSQL, after, dayOrNull(v.scope.Since), v.scope.Account, chainPage)
			if err != nil {
				return err
			}
			if page, err = pgx.CollectRows(rows, pgx.RowToStructByName[standing]); err != nil {
				return err
			}
			return v.chainsOfTx(ctx, tx, page)
		})
		if err != nil || len(page) < chainPage {
			return err
		}
		after = page[len(page)-1].UserID
	}
}

// chainsOfTx walks the rows of some accounts, which are in the order of their names.
func (v *verification) chainsOfTx(ctx context.Context, tx pgx.Tx, accounts []standing) error {
	names, firsts := make([]string, len(accounts)), make([]int64, len(accounts))
	for i, a := range accounts {
		names[i], firsts[i] = a.UserID, 1
		if a.FromSequence != nil {
			firsts[i] = *a.FromSequence
		}
	}
	rows, err := tx.Query(ctx, chainsSQL, names, firsts)
	if err != nil {
		return err
	}
	defer rows.Close()
	var at walk
	next := 0
	begin := func() { at, next = walk{verification: v, standing: accounts[next], next: firsts[next]}, next+1 }
	for rows.Next() {
		row, err := pgx.RowToStructByName[Row](rows)
		if err != nil {
			return err
		}
		for at.UserID != row.UserID {
			if err := at.end(); err != nil {
				return err
			}
			begin()
		}
		if err := at.step(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for {
		if err := at.end(); err != nil || next == len(accounts) {
			return err
		}
		begin()
	}
}

// walk goes along the rows of one account.
type walk struct {
	*verification
	standing
	next    int64  // the number that is due
	before  []byte // the hash of the row before
	blind   bool   // the row before is not there
	chained bool   // a row had a hash
	balance *int64 // after the row before
}

func (w *walk) breach(k Kind, r Row, format string, args ...any) error {
	return w.found(Breach{Kind: k, Account: w.UserID, Sequence: r.Sequence, ID: r.ID, Detail: fmt.Sprintf(format, args...)})
}

func (w *walk) step(r Row) error {
	w.report.Rows++
	taken := w.FromSequence != nil && r.Sequence == *w.FromSequence // known from its root
	if r.Sequence != w.next {
		if err := w.missing(w.next, r.Sequence-1); err != nil {
			return err
		}
		w.blind = true
	}
	hash := r.Hash
	switch {
	case taken:
		w.chained = hash != nil
		if hash == nil {
			hash = r.HashAfter(nil)
		}
		if !bytes.Equal(hash, w.FromHash) {
			if err := w.breach(Rechained, r, "its hash is %x, the root before has %x", hash, w.FromHash); err != nil {
				return err
			}
		}
	case hash == nil:
		w.report.Unchained++
		if w.chained {
			if err := w.breach(Unchained, r, "it has no hash, although rows before it have"); err != nil {
				return err
			}
		}
		hash = r.HashAfter(nil)
	default:
		w.chained = true
		if should := r.HashAfter(w.before); !w.blind && !bytes.Equal(should, hash) {
			if err := w.breach(Altered, r, "its hash is %x, the row makes %x%s", hash, should, w.clue(r)); err != nil {
				return err
			}
		}
	}
	if w.ChainSequence != nil && r.Sequence == *w.ChainSequence && !bytes.Equal(hash, w.ChainHash) {
		if err := w.breach(Rechained, r, "its hash is %x, the account has noted %x", hash, w.ChainHash); err != nil {
			return err
		}
	}
	w.before, w.blind, w.next, w.balance = hash, false, r.Sequence+1, &r.BalanceAfter
	return nil
}

// clue is what does not fit within the row, and with the one before it.
func (w *walk) clue(r Row) string {
	text := ""
	if r.BalanceBefore+r.Amount != r.BalanceAfter {
		text += fmt.Sprintf("; balance_before %d and amount %d do not make balance_after %d", r.BalanceBefore, r.Amount, r.BalanceAfter)
	}
	if w.balance != nil && *w.balance != r.BalanceBefore {
		text += fmt.Sprintf("; balance_before is %d, the row before ended with %d", r.BalanceBefore, *w.balance)
	}
	return text
}

func (w *walk) missing(first, last int64) error {
	return w.found(Breach{Kind: Missing, Account: w.UserID, Sequence: first, Detail: fmt.Sprintf("rows %d to %d are not there", first, last)})
}

// end is behind the last row of the account.
func (w *walk) end() error {
	if w.UserID == "" {
		return nil
	}
	w.report.Accounts++
	if w.next <= w.Sequence {
		return w.missing(w.next, w.Sequence)
	}
	return nil
}

// checkpointsSQL are notes of heads that the rows of today do not bear out.
const checkpointsSQL = `
	SELECT c.user_id, c.day, c.sequence, c.hash, t.id, CASE WHEN t.id IS NOT NULL THEN credits.chain_tail(t.user_id, t.sequence) END AS now
	FROM credits.checkpoints AS c LEFT JOIN credits.transactions AS t ON t.user_id = c.user_id AND t.sequence = c.sequence
	WHERE ($1::date IS NULL OR c.day >= $1) AND ($2 = '' OR c.user_id = $2)
	  AND CASE WHEN t.id IS NOT NULL THEN credits.chain_tail(t.user_id, t.sequence) END IS DISTINCT FROM c.hash
	ORDER BY c.user_id, c.day`

func (v *verification) checkpoints(ctx context.Context) error {
	return v.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, checkpointsSQL, dayOrNull(v.scope.Since), v.scope.Account)
		if err != nil {
			return err
		}
		var account string
		var day time.Time
		var sequence int64
		var noted, now []byte
		var id *string
		_, err = pgx.ForEachRow(rows, []any{&account, &day, &sequence, &noted, &id, &now}, func() error {
			b := Breach{Kind: Rechained, Account: account, Sequence: sequence, Day: day}
			if id == nil {
				b.Kind, b.Detail = Missing, "the root of the day has the row"
			} else {
				b.ID, b.Detail = *id, fmt.Sprintf("its hash is %s, the root of the day has %s", hex.EncodeToString(now), hex.EncodeToString(noted))
			}
			return v.found(b)
		})
		return err
	})
}
