package authcore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

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
}

const keyColumns = `id, public_key, private_key, created_at, signs_from, gone_at`

// keyRotationLock makes rotations wait for each other on every edge.
const keyRotationLock = `SELECT pg_advisory_xact_lock(hashtext('auth.jwks'))`

// loadKeys replaces the key set by what is in the database. A row that the
// secret does not open can still verify, so it is kept without its private
// half; that none can sign is an error.
func (s *Service) loadKeys(ctx context.Context) error {
	list, err := dbscope.List[keyRow](ctx, s.db, system(),
		`SELECT `+keyColumns+` FROM auth.jwks
		 WHERE gone_at IS NULL OR gone_at > now()
		 ORDER BY created_at, id`)
	if err != nil {
		return err
	}
	keys := make([]key, 0, len(list))
	var unreadable error
	signing := false
	for _, r := range list {
		k, err := openKey(s.cfg.Secrets, r.ID, r.PublicKey, r.PrivateKey)
		if err != nil {
			unreadable = errors.Join(unreadable, fmt.Errorf("key %s: %w", r.ID, err))
		}
		if k.Public == nil {
			continue
		}
		k.CreatedAt, k.SignsFrom, k.GoneAt = r.CreatedAt, r.CreatedAt, r.GoneAt
		if r.SignsFrom != nil {
			k.SignsFrom = *r.SignsFrom
		}
		signing = signing || k.Private != nil
		keys = append(keys, k)
	}
	if len(list) > 0 && !signing {
		return fmt.Errorf("no signing key can be opened with this encryption_key: %w", unreadable)
	}
	if unreadable != nil {
		s.log.Warn("some signing keys cannot be opened with this encryption_key", "error", unreadable)
	}
	old := s.keys.Swap(newKeySet(keys))
	if old != nil && !old.covered(keys) {
		s.tokens.clear()
	}
	return nil
}

// covered tells whether every key of the set is still among the keys given.
func (ks *keySet) covered(keys []key) bool {
	now := make(map[string]bool, len(keys))
	for _, k := range keys {
		now[k.ID] = true
	}
	for _, k := range ks.all() {
		if !now[k.ID] {
			return false
		}
	}
	return true
}

func (s *Service) makeFirstKey(ctx context.Context) error {
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		var have bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM auth.jwks)`).Scan(&have); err != nil || have {
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

func (s *Service) insertKeyTx(ctx context.Context, tx pgx.Tx, now, signsFrom time.Time) error {
	k, err := newKey(now, signsFrom)
	if err != nil {
		return err
	}
	public, private, err := sealKey(s.cfg.Secrets, k)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx,
		`INSERT INTO auth.jwks (id, public_key, private_key, created_at, signs_from)
		 VALUES ($1, $2, $3, $4, $5)`, k.ID, public, private, k.CreatedAt, k.SignsFrom)
	return err
}

// Keys lists the signing keys, oldest first, those gone left out.
func (s *Service) Keys(ctx context.Context) ([]KeyInfo, error) {
	if err := s.loadKeys(ctx); err != nil {
		return nil, err
	}
	ks, now := s.keys.Load(), s.now()
	signing, _ := ks.signer(now)
	var infos []KeyInfo
	for _, k := range ks.all() {
		infos = append(infos, k.info(now, signing.ID))
	}
	return infos, nil
}

func (k key) info(now time.Time, signing string) KeyInfo {
	return KeyInfo{ID: k.ID, State: k.state(now, signing), CreatedAt: k.CreatedAt, SignsFrom: k.SignsFrom, GoneAt: k.GoneAt}
}

// leastAnnounce lets a new key reach every edge before a token carries its id.
const leastAnnounce = time.Second

// RotateKeys makes a new key. It is announced in the JWKS for
// Config.KeyAnnounce before it signs, or with now for a second only, which
// suits a leaked key. Older keys verify until the last token they signed has
// expired.
func (s *Service) RotateKeys(ctx context.Context, op Operator, now bool) (KeyInfo, error) {
	return s.rotate(ctx, op, now, 0)
}

// rotate adds a key unless a key younger than minAge exists.
func (s *Service) rotate(ctx context.Context, op Operator, atOnce bool, minAge time.Duration) (KeyInfo, error) {
	var made KeyInfo
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		now := s.now()
		var newest time.Time
		if err := tx.QueryRow(ctx, `SELECT COALESCE(max(created_at), 'epoch') FROM auth.jwks`).Scan(&newest); err != nil {
			return err
		}
		if minAge > 0 && now.Sub(newest) < minAge {
			return nil
		}
		signsFrom := now.Add(leastAnnounce)
		if !atOnce {
			signsFrom = now.Add(max(leastAnnounce, s.cfg.KeyAnnounce))
		}
		lastExpiry := signsFrom.Add(s.cfg.AccessTokenTTL + time.Minute)
		if _, err := tx.Exec(ctx,
			`UPDATE auth.jwks SET gone_at = $1 WHERE gone_at IS NULL`, lastExpiry); err != nil {
			return err
		}
		if err := s.insertKeyTx(ctx, tx, now, signsFrom); err != nil {
			return err
		}
		made = KeyInfo{CreatedAt: now, SignsFrom: signsFrom}
		return recordTx(ctx, tx, event{Type: "key_rotated", Metadata: map[string]any{"operator": op.Name}})
	})
	if err != nil || made.CreatedAt.IsZero() {
		return made, err
	}
	infos, err := s.Keys(ctx)
	if err != nil {
		return made, err
	}
	return infos[len(infos)-1], nil
}

func (s *Service) rotateOnSchedule(ctx context.Context) error {
	youngest := time.Time{}
	for _, k := range s.keys.Load().all() {
		if k.CreatedAt.After(youngest) {
			youngest = k.CreatedAt
		}
	}
	if s.now().Sub(youngest) < s.cfg.KeyRotateEvery {
		return nil
	}
	_, err := s.rotate(ctx, Operator{Name: "schedule"}, false, s.cfg.KeyRotateEvery)
	return err
}

// JWKS is the public key set as JSON (RFC 7517), announced keys included.
func (s *Service) JWKS() []byte { return s.keys.Load().jwks(s.now()) }

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
