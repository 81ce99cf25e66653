package abuse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Edge is who holds gifting by the score alone.
const Edge = "edge"

// HeldTx reports whether an account makes no gifts.
func (s *Service) HeldTx(ctx context.Context, tx pgx.Tx, userID string) (held bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM credits.abuse_scores AS a WHERE a.user_id = $1 AND a.held_at IS NOT NULL)`, userID).Scan(&held)
	return held, err
}

// HeldSince is since when an account makes no gifts, nil where it does.
func (s *Service) HeldSince(ctx context.Context, userID string) (*time.Time, error) {
	type row struct{ HeldAt time.Time }
	r, err := dbscope.One[row](ctx, s.db, system(), `SELECT a.held_at FROM credits.abuse_scores AS a WHERE a.user_id = $1 AND a.held_at IS NOT NULL`, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // it is not held
	}
	if err != nil {
		return nil, err
	}
	return &r.HeldAt, nil
}

// Hold has an account make no gifts until an operator releases it; one that the score
// alone holds becomes such a hold. It fails with [ErrHeld],
// [creditcore.ErrAccountNotFound] or what record returns.
func (s *Service) Hold(ctx context.Context, userID, by, reason string, record Recorder) error {
	type was struct{ Held bool }
	var before was
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) (err error) {
		before, err = dbscope.TxRow[was](ctx, tx,
			`INSERT INTO credits.abuse_scores AS a (user_id, held_at, held_by, hold_reason, scored_at) VALUES ($1, $4, $2, $3, $4)
			 ON CONFLICT (user_id) DO UPDATE SET held_at = coalesce(a.held_at, $4), held_by = $2, hold_reason = $3,
				released_at = NULL, released_by = NULL, release_reason = NULL, released_score = NULL
			 WHERE a.held_at IS NULL OR a.held_by = $5
			 RETURNING a.held_at < $4::timestamptz AS held`, userID, by, reason, s.now(), Edge)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrHeld
		}
		if err != nil {
			return err
		}
		return record.tell(ctx, tx)
	})
	if err == nil && !before.Held {
		s.saw("held")
	}
	return err
}

// Release lets an account make gifts again. Its score holds it again only when it is
// higher than now. It fails with [ErrNotHeld] or what record returns.
func (s *Service) Release(ctx context.Context, userID, by, reason string, record Recorder) error {
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx,
			`UPDATE credits.abuse_scores SET held_at = NULL, held_by = NULL, hold_reason = NULL,
				released_at = $4, released_by = $2, release_reason = $3, released_score = score
			 WHERE user_id = $1 AND held_at IS NOT NULL`, userID, by, reason, s.now())
		switch {
		case err != nil:
			return err
		case tag.RowsAffected() == 0:
			return ErrNotHeld
		}
		return record.tell(ctx, tx)
	})
	if err == nil {
		s.saw("released")
	}
	return err
}

// decide holds the gifting of those whose score reaches the threshold, and ends holds
// that the score alone made and does not reach any more. Each is a transaction, which
// of several edges one makes.
func (s *Service) decide(ctx context.Context) error {
	if s.cfg.Threshold > 0 {
		err := s.each(ctx, true,
			`SELECT a.user_id AS text FROM credits.abuse_scores AS a
			 WHERE a.score >= $1 AND a.held_at IS NULL AND (a.released_score IS NULL OR a.score > a.released_score)
			 ORDER BY a.user_id`,
			`UPDATE credits.abuse_scores AS a SET held_at = $3, held_by = $4, hold_reason = format('a score of %s; gifting is held from %s on', a.score, $2::int),
				released_at = NULL, released_by = NULL, release_reason = NULL, released_score = NULL
			 WHERE a.user_id = $1 AND a.score >= $2::int AND a.held_at IS NULL AND (a.released_score IS NULL OR a.score > a.released_score)`,
			[]any{s.cfg.Threshold}, []any{s.cfg.Threshold, s.now(), Edge})
		if err != nil {
			return fmt.Errorf("hold gifting: %w", err)
		}
	}
	// Where no score holds, none ends above the threshold.
	ends := s.cfg.Threshold
	if ends == 0 {
		ends = mostScore + 1
	}
	err := s.each(ctx, false,
		`SELECT a.user_id AS text FROM credits.abuse_scores AS a
		 WHERE a.held_at IS NOT NULL AND a.held_by = $2 AND a.score < $1
		 ORDER BY a.user_id`,
		`UPDATE credits.abuse_scores AS a SET held_at = NULL, held_by = NULL, hold_reason = NULL
		 WHERE a.user_id = $1 AND a.held_at IS NOT NULL AND a.held_by = $3 AND a.score < $2`,
		[]any{ends, Edge}, []any{ends, Edge})
	if err != nil {
		return fmt.Errorf("end holds of gifting: %w", err)
	}
	return nil
}

// each changes the accounts that find lists, one by one, and records each that another
// edge has not changed meanwhile.
func (s *Service) each(ctx context.Context, held bool, find, change string, findArgs, changeArgs []any) error {
	list, err := dbscope.Texts(ctx, s.db, system(), find, findArgs...)
	if err != nil {
		return err
	}
	for _, userID := range list {
		changed := false
		err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, change, append([]any{userID}, changeArgs...)...)
			changed = err == nil && tag.RowsAffected() == 1
			if changed && s.recordTx != nil {
				err = s.recordTx(ctx, tx, userID, held)
			}
			return err
		})
		if err != nil {
			return err
		}
		if !changed {
			continue
		}
		event := "released"
		if held {
			event = "held"
		}
		s.saw(event)
		s.log.InfoContext(ctx, "gifting of an account, by its score", "user", userID, "is", event)
	}
	return nil
}
