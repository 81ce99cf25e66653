package authcore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

// keyRow is a row of auth.jwks. Rows of the replaced service have neither
// signs_from nor gone_at.
type keyRow struct {
	ID         string
	PublicKey  string
	PrivateKey string
	CreatedAt  time.Time
	SignsFrom  *time.Time
	GoneAt     *time.Time
	RevokedAt  *time.Time
}

const keyColumns = `id, public_key, private_key, created_at, signs_from, gone_at, revoked_at`

// liveKey is the condition under which a key signs or verifies.
const liveKey = `revoked_at IS NULL AND (gone_at IS NULL OR gone_at > now())`

// key is what stands in the row beside the key itself.
func (r keyRow) key() token.Key {
	k := token.Key{ID: r.ID, CreatedAt: r.CreatedAt, SignsFrom: r.CreatedAt, GoneAt: r.GoneAt, RevokedAt: r.RevokedAt}
	if r.SignsFrom != nil {
		k.SignsFrom = *r.SignsFrom
	}
	return k
}

// keyRotationLock makes rotations wait for each other on every edge.
const keyRotationLock = `SELECT pg_advisory_xact_lock(hashtext('auth.jwks'))`

// loadKeys replaces the key set by what is in the database. A row that the
// secret does not open can still verify, so it is kept without its private
// half, or with the one that this process has opened before. That none can sign
// is an error, but the set is replaced: what is revoked stays revoked.
func (s *Service) loadKeys(ctx context.Context) error {
	reading := s.keyReadings.begin()
	list, err := dbscope.List[keyRow](ctx, s.db, system(),
		`SELECT `+keyColumns+` FROM auth.jwks WHERE `+liveKey+` OR revoked_at IS NOT NULL ORDER BY created_at, id`)
	if err != nil {
		return err
	}
	before := s.keys.Load()
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
		err := k.Open(s.cfg.Secrets, r.PublicKey, r.PrivateKey)
		if known := before.ByID(k.ID); err != nil && known.Private != nil && known.Public.Equal(k.Public) {
			k.Private, err = known.Private, nil
		}
		if err != nil {
			unreadable = errors.Join(unreadable, fmt.Errorf("key %s: %w", r.ID, err))
		}
		if k.Public == nil {
			continue
		}
		signing = signing || k.Private != nil
		keys = append(keys, k)
	}
	s.keyReadings.finish(reading, func() {
		s.keys.Store(token.NewKeySet(keys, slices.Collect(maps.Keys(revoked))...))
	})
	for id := range revoked {
		if !before.Revoked(id) {
			s.watchers.EndKey(id)
		}
	}
	if len(list) > len(revoked) && !signing {
		return fmt.Errorf("no signing key can be opened with this encryption_key: %w", unreadable)
	}
	if unreadable != nil {
		s.log.Warn("some signing keys cannot be opened with this encryption_key", "error", unreadable)
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

func (s *Service) makeFirstKey(ctx context.Context) error {
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		var have bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM auth.jwks WHERE `+liveKey+`)`).Scan(&have); err != nil || have {
			return err
		}
		now := s.now()
		return s.insertKeyTx(ctx, tx, now, now)
	})
	if err != nil {
		return err
	}
	return s.loadKeys(ctx)
}

// resealKeys seals with today's encryption key what an older one has sealed, or
// the replaced service. Edges that do not know today's yet go on with what they
// have opened.
func (s *Service) resealKeys(ctx context.Context) error {
	if s.cfg.Keyless {
		return nil
	}
	return s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+keyColumns+` FROM auth.jwks WHERE `+liveKey)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByName[keyRow])
		if err != nil {
			return err
		}
		for _, r := range list {
			k := r.key()
			if k.Open(s.cfg.Secrets, r.PublicKey, r.PrivateKey) != nil || s.cfg.Secrets.SealedByFirst(strings.Trim(r.PrivateKey, `"`)) {
				continue
			}
			_, private, err := token.Seal(s.cfg.Secrets, k)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE auth.jwks SET private_key = $2 WHERE id = $1`, k.ID, private); err != nil {
				return err
			}
			s.log.Info("a signing key is sealed with the first encryption_key now", "key", k.ID)
		}
		return nil
	})
}

func (s *Service) insertKeyTx(ctx context.Context, tx pgx.Tx, now, signsFrom time.Time) error {
	k, err := token.NewKey(now, signsFrom)
	if err != nil {
		return err
	}
	public, private, err := token.Seal(s.cfg.Secrets, k)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx,
		`INSERT INTO auth.jwks (id, public_key, private_key, created_at, signs_from)
		 VALUES ($1, $2, $3, $4, $5)`, k.ID, public, private, k.CreatedAt, k.SignsFrom)
	return err
}

// Keys lists the signing keys, oldest first, also those that are gone or
// revoked.
func (s *Service) Keys(ctx context.Context) ([]token.Info, error) {
	if err := s.loadKeys(ctx); err != nil {
		return nil, err
	}
	list, err := dbscope.List[keyRow](ctx, s.db, system(), `SELECT `+keyColumns+` FROM auth.jwks ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	now := s.now()
	signing, _ := s.keys.Load().Signer(now)
	infos := make([]token.Info, len(list))
	for i, r := range list {
		infos[i] = r.key().Info(now, signing.ID)
		switch infos[i].State {
		case token.KeyGone, token.KeyRevoked:
		default:
			infos[i].SealedByOlder = !s.cfg.Secrets.SealedByFirst(strings.Trim(r.PrivateKey, `"`))
		}
	}
	return infos, nil
}

// JWKS is the public key set as JSON (RFC 7517), announced keys included.
func (s *Service) JWKS() []byte { return s.keys.Load().JWKS(s.now()) }

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
