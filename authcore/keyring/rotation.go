package keyring

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

// leastAnnounce lets a new key reach every edge before a token carries its id.
const leastAnnounce = time.Second

// Rotate makes a new key of an algorithm. It is announced in the JWKS for
// Deps.Announce before it signs, or with now for a second only. Older keys
// verify until the last token they signed has expired: for a key that leaked
// there is [Ring.Revoke].
func (s *Ring) Rotate(ctx context.Context, op principal.Operator, a token.Algorithm, now bool) (token.Info, error) {
	announce := s.with.Announce
	if now {
		announce = 0
	}
	return s.rotate(ctx, op, a, max(leastAnnounce, announce), 0)
}

// rotate adds a key unless a live one of its algorithm younger than minAge exists.
func (s *Ring) rotate(ctx context.Context, op principal.Operator, a token.Algorithm, announce, minAge time.Duration) (token.Info, error) {
	var made bool
	err := s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		now := s.with.Now()
		var newest time.Time
		if err := tx.QueryRow(ctx, `SELECT COALESCE(max(created_at), 'epoch') FROM `+s.table()+` WHERE algorithm = $1 AND `+liveKey, string(a)).Scan(&newest); err != nil {
			return err
		}
		if minAge > 0 && now.Sub(newest) < minAge {
			return nil
		}
		made = true
		if err := s.succeedTx(ctx, tx, a, now, now.Add(announce)); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "key_rotated", By: op})
	})
	if err != nil || !made {
		return token.Info{}, err
	}
	infos, err := s.List(ctx)
	if err != nil {
		return token.Info{}, err
	}
	return infos[len(infos)-1], nil
}

// succeedTx makes a key that signs from the given time on and says of every
// other of its algorithm when it goes: at once if its turn to sign would only come after that,
// with a margin for edges whose clocks are ahead, else when the last token that
// it may have signed has expired.
func (s *Ring) succeedTx(ctx context.Context, tx pgx.Tx, a token.Algorithm, now, signsFrom time.Time) error {
	lastExpiry := signsFrom.Add(s.with.LongestToken + time.Minute)
	if _, err := tx.Exec(ctx,
		`UPDATE `+s.table()+`
		 SET gone_at = CASE WHEN signs_from > $3 THEN $1::timestamptz ELSE LEAST(gone_at, $2) END
		 WHERE algorithm = $4 AND `+liveKey, now, lastExpiry, signsFrom.Add(token.Leeway), string(a)); err != nil {
		return err
	}
	return s.insertKeyTx(ctx, tx, a, now, signsFrom)
}

// RotateOnSchedule makes a new key of each algorithm whose youngest one is old enough.
func (s *Ring) RotateOnSchedule(ctx context.Context) error {
	youngest := make(map[token.Algorithm]time.Time)
	for _, k := range s.with.Set.Load().All() {
		if k.CreatedAt.After(youngest[k.Algorithm]) {
			youngest[k.Algorithm] = k.CreatedAt
		}
	}
	var faults error
	for a, made := range youngest {
		if s.with.Now().Sub(made) < s.with.RotateEvery {
			continue
		}
		_, err := s.rotate(ctx, principal.Operator{Name: "schedule"}, a, max(leastAnnounce, s.with.Announce), s.with.RotateEvery)
		faults = errors.Join(faults, err)
	}
	return faults
}

// Revoke ends a key that leaked: its private half is wiped, and every edge
// refuses what it signed as soon as it hears of it. Where it was the signing
// one, a new key signs at once; where it was announced, the signing one goes
// on. A key that is revoked already is no error. It returns all keys, as
// [Ring.List] does, or fails with [ErrNotFound].
func (s *Ring) Revoke(ctx context.Context, op principal.Operator, id string) ([]token.Info, error) {
	err := s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, keyRotationLock); err != nil {
			return err
		}
		var revoked bool
		var algorithm string
		err := tx.QueryRow(ctx, `SELECT revoked_at IS NOT NULL, algorithm FROM `+s.table()+` WHERE id = $1`, id).Scan(&revoked, &algorithm)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil || revoked {
			return err
		}
		now := s.with.Now()
		a := token.Algorithm(algorithm)
		signing, err := s.signingKeyTx(ctx, tx, a, now)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx,
			`UPDATE `+s.table()+` SET revoked_at = now(), gone_at = now(), private_key = '""' WHERE id = $1`, id); err != nil {
			return err
		}
		if signing == id || signing == "" {
			err = s.succeedTx(ctx, tx, a, now, now)
		} else {
			// The signing key stays if this was to be its successor.
			_, err = tx.Exec(ctx,
				`UPDATE `+s.table()+` SET gone_at = NULL
				 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM `+s.table()+` WHERE gone_at IS NULL AND algorithm = $2)`, signing, algorithm)
		}
		if err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "key_revoked", By: op, Metadata: map[string]any{"key": id}})
	})
	if err != nil {
		return nil, err
	}
	return s.List(ctx)
}

// signingKeyTx is the id of the key of an algorithm that signs now, empty where there
// is none.
func (s *Ring) signingKeyTx(ctx context.Context, tx pgx.Tx, a token.Algorithm, now time.Time) (string, error) {
	rows, err := tx.Query(ctx, `SELECT `+keyColumns+` FROM `+s.table()+` WHERE algorithm = $1 AND `+liveKey, string(a))
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
