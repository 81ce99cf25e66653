package authcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// leastAnnounce lets a new key reach every edge before a token carries its id.
const leastAnnounce = time.Second

// RotateKeys makes a new key. It is announced in the JWKS for
// Config.KeyAnnounce before it signs, or with now for a second only. Older keys
// verify until the last token they signed has expired: for a key that leaked
// there is [Service.RevokeKey].
func (s *Service) RotateKeys(ctx context.Context, op principal.Operator, now bool) (token.Info, error) {
	announce := s.cfg.KeyAnnounce
	if now {
		announce = 0
	}
	return s.rotate(ctx, op, max(leastAnnounce, announce), 0)
}

// rotate adds a key unless a live one younger than minAge exists.
func (s *Service) rotate(ctx context.Context, op principal.Operator, announce, minAge time.Duration) (token.Info, error) {
	var made bool
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		now := s.now()
		var newest time.Time
		if err := tx.QueryRow(ctx, `SELECT COALESCE(max(created_at), 'epoch') FROM auth.jwks WHERE `+liveKey).Scan(&newest); err != nil {
			return err
		}
		if minAge > 0 && now.Sub(newest) < minAge {
			return nil
		}
		made = true
		if err := s.succeedTx(ctx, tx, now, now.Add(announce)); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "key_rotated", By: op})
	})
	if err != nil || !made {
		return token.Info{}, err
	}
	infos, err := s.Keys(ctx)
	if err != nil {
		return token.Info{}, err
	}
	return infos[len(infos)-1], nil
}

// succeedTx makes a key that signs from the given time on and says of every
// other when it goes: at once if its turn to sign would only come after that,
// with a margin for edges whose clocks are ahead, else when the last token that
// it may have signed has expired.
func (s *Service) succeedTx(ctx context.Context, tx pgx.Tx, now, signsFrom time.Time) error {
	lastExpiry := signsFrom.Add(s.cfg.AccessTokenTTL + time.Minute)
	if _, err := tx.Exec(ctx,
		`UPDATE auth.jwks
		 SET gone_at = CASE WHEN signs_from > $3 THEN $1::timestamptz ELSE LEAST(gone_at, $2) END
		 WHERE `+liveKey, now, lastExpiry, signsFrom.Add(token.Leeway)); err != nil {
		return err
	}
	return s.insertKeyTx(ctx, tx, now, signsFrom)
}

func (s *Service) rotateOnSchedule(ctx context.Context) error {
	youngest := time.Time{}
	for _, k := range s.keys.Load().All() {
		if k.CreatedAt.After(youngest) {
			youngest = k.CreatedAt
		}
	}
	if s.now().Sub(youngest) < s.cfg.KeyRotateEvery {
		return nil
	}
	_, err := s.rotate(ctx, principal.Operator{Name: "schedule"}, max(leastAnnounce, s.cfg.KeyAnnounce), s.cfg.KeyRotateEvery)
	return err
}

// RevokeKey ends a key that leaked: its private half is wiped, and every edge
// refuses what it signed as soon as it hears of it. Where it was the signing
// one, a new key signs at once; where it was announced, the signing one goes
// on. A key that is revoked already is no error. It returns all keys, as
// [Service.Keys] does, or fails with [ErrKeyNotFound].
func (s *Service) RevokeKey(ctx context.Context, op principal.Operator, id string) ([]token.Info, error) {
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		var revoked bool
		err := tx.QueryRow(ctx, `SELECT revoked_at IS NOT NULL FROM auth.jwks WHERE id = $1`, id).Scan(&revoked)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrKeyNotFound
		}
		if err != nil || revoked {
			return err
		}
		now := s.now()
		signing, err := signingKeyTx(ctx, tx, now)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx,
			`UPDATE auth.jwks SET revoked_at = now(), gone_at = now(), private_key = '""' WHERE id = $1`, id); err != nil {
			return err
		}
		if signing == id || signing == "" {
			err = s.succeedTx(ctx, tx, now, now)
		} else {
			// The signing key stays if this was to be its successor.
			_, err = tx.Exec(ctx,
				`UPDATE auth.jwks SET gone_at = NULL
				 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM auth.jwks WHERE gone_at IS NULL)`, signing)
		}
		if err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "key_revoked", By: op, Metadata: map[string]any{"key": id}})
	})
	if err != nil {
		return nil, err
	}
	return s.Keys(ctx)
}

// signingKeyTx is the id of the key that signs now, empty where there is none.
func signingKeyTx(ctx context.Context, tx pgx.Tx, now time.Time) (string, error) {
	rows, err := tx.Query(ctx, `SELECT `+keyColumns+` FROM auth.jwks WHERE `+liveKey)
	if err != nil {
		return "", err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[keyRow])
	if err != nil {
		return "", err
	}
	keys := make([]token.Key, len(list))
	for i, r := range list {
		keys[i] = r.key()
	}
	k, _ := token.SignerOf(keys, now)
	return k.ID, nil
}
