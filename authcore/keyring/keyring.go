package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

// ErrNotFound means that no signing key has an id.
var ErrNotFound = errors.New("no signing key has this id")

// Purpose is what a key signs.
type Purpose string

// The purposes.
const (
	Tokens Purpose = "token" // what users and clients show
	Proofs Purpose = "proof" // what proves the ledger
)

// table is where keys of a purpose are. An edge of before there were proofs reads every key of
// auth.jwks as one of tokens.
func (p Purpose) table() string {
	if p == Proofs {
		return "auth.proof_keys"
	}
	return "auth.jwks"
}

// Deps is what a [Ring] works with.
type Deps struct {
	DB      dbscope.DB
	Secrets secret.Keys
	Now     func() time.Time
	Log     *slog.Logger
	// Purpose is what the keys sign, [Tokens] where empty. A ring knows none of another.
	Purpose Purpose
	// Set is where the keys in force are kept.
	Set *atomic.Pointer[token.KeySet]
	// Ended is told of each key that was revoked.
	Ended func(id string)
	// Keyless is for who has no secrets: nothing is sealed anew.
	Keyless bool

	Announce    time.Duration // in the JWKS before a key signs
	RotateEvery time.Duration
	// LongestToken is how long what a key has signed may be met.
	LongestToken time.Duration
}

// Ring keeps the signing keys.
type Ring struct {
	with     Deps
	readings readings
	reloads  reloadGate
}

// New makes a ring, which reads nothing yet.
func New(with Deps) *Ring {
	if with.Purpose == "" {
		with.Purpose = Tokens
	}
	return &Ring{with: with}
}

// table is where the keys of the ring are.
func (s *Ring) table() string { return s.with.Purpose.table() }

// keyRow is a row of a table of keys. Rows of the replaced service have neither
// signs_from nor gone_at.
type keyRow struct {
	ID         string
	Algorithm  token.Algorithm
	PublicKey  string
	PrivateKey string
	CreatedAt  time.Time
	SignsFrom  *time.Time
	GoneAt     *time.Time
	RevokedAt  *time.Time
}

const keyColumns = `id, algorithm, public_key, private_key, created_at, signs_from, gone_at, revoked_at`

// liveKey is the condition under which a key signs or verifies.
const liveKey = `revoked_at IS NULL AND (gone_at IS NULL OR gone_at > now())`

// key is what stands in the row beside the key itself.
func (r keyRow) key() token.Key {
	k := token.Key{ID: r.ID, Algorithm: r.Algorithm, CreatedAt: r.CreatedAt, SignsFrom: r.CreatedAt, GoneAt: r.GoneAt, RevokedAt: r.RevokedAt}
	if r.SignsFrom != nil {
		k.SignsFrom = *r.SignsFrom
	}
	return k
}

// keyRotationLock makes rotations wait for each other on every edge.
const keyRotationLock = `SELECT pg_advisory_xact_lock(hashtext('auth.jwks'))`

// Load replaces the key set by what is in the database. A row that the
// secret does not open can still verify, so it is kept without its private
// half, or with the one that this process has opened before. That none can sign
// is an error, but the set is replaced: what is revoked stays revoked.
func (s *Ring) Load(ctx context.Context) error {
	reading := s.readings.begin()
	list, err := dbscope.List[keyRow](ctx, s.with.DB, dbscope.System(),
		`SELECT `+keyColumns+` FROM `+s.table()+` WHERE `+liveKey+` OR revoked_at IS NOT NULL ORDER BY created_at, id`)
	if err != nil {
		return err
	}
	before := s.with.Set.Load()
	revoked := make(map[string]bool)
	keys := make([]token.Key, 0, len(list))
	var unreadable error
	signing := false
	for _, r := range list {
		k := r.key()
		if k.RevokedAt != nil {
			revoked[k.ID] = true
			continue
		}
		err := k.Open(s.with.Secrets, r.PublicKey, r.PrivateKey)
		if known := before.ByID(k.ID); err != nil && known.Private != nil && known.Public.Equal(k.Public) {
			k.Private, err = known.Private, nil
		}
		if err != nil {
			unreadable = errors.Join(unreadable, fmt.Errorf("key %s: %w", r.ID, err))
		}
		if k.Public == nil {
			continue
		}
		signing = signing || k.Private != nil && k.Algorithm == token.EdDSA
		keys = append(keys, k)
	}
	s.readings.finish(reading, func() {
		s.with.Set.Store(token.NewKeySet(keys, slices.Collect(maps.Keys(revoked))...))
	})
	for id := range revoked {
		if !before.Revoked(id) {
			s.with.Ended(id)
		}
	}
	if len(list) > len(revoked) && !signing {
		return fmt.Errorf("no signing key can be opened with this encryption_key: %w", unreadable)
	}
	if unreadable != nil {
		s.with.Log.Warn("some signing keys cannot be opened with this encryption_key", "error", unreadable)
	}
	return nil
}

// readings orders what several goroutines read of one thing: what was begun
// earlier never replaces what was begun later.
type readings struct {
	mu              sync.Mutex
	begun, finished uint64
}

func (r *readings) begin() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
	return r.begun
}

// finish runs store unless a later reading has finished.
func (r *readings) finish(reading uint64, store func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reading < r.finished {
		return
	}
	r.finished = reading
	store()
}

// MakeFirst makes a key of an algorithm where there is none.
func (s *Ring) MakeFirst(ctx context.Context, a token.Algorithm) error {
	err := s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		var have bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM `+s.table()+` WHERE algorithm = $1 AND `+liveKey+`)`, string(a)).Scan(&have); err != nil || have {
			return err
		}
		now := s.with.Now()
		return s.insertKeyTx(ctx, tx, a, now, now)
	})
	if err != nil {
		return err
	}
	return s.Load(ctx)
}

// Reseal seals with today's encryption key what an older one has sealed, or
// the replaced service. Edges that do not know today's yet go on with what they
// have opened.
func (s *Ring) Reseal(ctx context.Context) error {
	if s.with.Keyless {
		return nil
	}
	return s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+keyColumns+` FROM `+s.table()+` WHERE `+liveKey)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByName[keyRow])
		if err != nil {
			return err
		}
		for _, r := range list {
			k := r.key()
			if k.Open(s.with.Secrets, r.PublicKey, r.PrivateKey) != nil || s.with.Secrets.SealedByFirst(strings.Trim(r.PrivateKey, `"`)) {
				continue
			}
			_, private, err := token.Seal(s.with.Secrets, k)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE `+s.table()+` SET private_key = $2 WHERE id = $1`, k.ID, private); err != nil {
				return err
			}
			s.with.Log.Info("a signing key is sealed with the first encryption_key now", "key", k.ID)
		}
		return nil
	})
}

func (s *Ring) insertKeyTx(ctx context.Context, tx pgx.Tx, a token.Algorithm, now, signsFrom time.Time) error {
	k, err := token.NewKey(a, now, signsFrom)
	if err != nil {
		return err
	}
	public, private, err := token.Seal(s.with.Secrets, k)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx,
		`INSERT INTO `+s.table()+` (id, algorithm, public_key, private_key, created_at, signs_from)
		 VALUES ($1, $2, $3, $4, $5, $6)`, k.ID, string(a), public, private, k.CreatedAt, k.SignsFrom)
	return err
}

// List lists the signing keys, oldest first, also those that are gone or
// revoked.
func (s *Ring) List(ctx context.Context) ([]token.Info, error) {
	if err := s.Load(ctx); err != nil {
		return nil, err
	}
	list, err := dbscope.List[keyRow](ctx, s.with.DB, dbscope.System(), `SELECT `+keyColumns+` FROM `+s.table()+` ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	now := s.with.Now()
	infos := make([]token.Info, len(list))
	for i, r := range list {
		signing, _ := s.with.Set.Load().Signer(r.Algorithm, now)
		infos[i] = r.key().Info(now, signing.ID)
		switch infos[i].State {
		case token.KeyGone, token.KeyRevoked:
		default:
			infos[i].SealedByOlder = !s.with.Secrets.SealedByFirst(strings.Trim(r.PrivateKey, `"`))
		}
	}
	return infos, nil
}

// Signer is the key that signs now.
func (s *Ring) Signer() (token.Key, error) {
	k, ok := s.with.Set.Load().Signer(token.EdDSA, s.with.Now())
	if !ok {
		return token.Key{}, errors.New("no signing key")
	}
	return k, nil
}

// LoadUnknown is Load because of a key id that is not known: seldom, whoever asks. It
// reports whether the keys were read.
func (s *Ring) LoadUnknown(ctx context.Context) bool {
	return s.reloads.open(s.with.Now()) && s.Load(ctx) == nil
}

// reloadGate lets an unknown key id cause a look into the database, but not
// more than one in five seconds, whoever asks.
type reloadGate struct {
	mu   sync.Mutex
	last time.Time
}

func (g *reloadGate) open(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.last) < 5*time.Second {
		return false
	}
	g.last = now
	return true
}
