package purchase

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore/billing/settle"
)

// mostFingerprint bounds what is kept of a card; Stripe's are of 16 characters.
const mostFingerprint = 255

// noteCard notes that a user has bought with a card. Those of organisations are not
// noted, as colleagues share them, and those of deleted accounts not any more.
func (s *Service) noteCard(ctx context.Context, tx pgx.Tx, p purchaseRow, fingerprint string) error {
	if fingerprint == "" || len(fingerprint) > mostFingerprint || !settle.Storable(fingerprint) || p.BoughtBy != "" {
		return nil
	}
	at := s.now()
	if p.Status == Completed {
		at = p.PaidAt
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO credits.cards AS c (fingerprint, user_id, first_seen_at, last_seen_at)
		SELECT $1, u.id, $3, $3
		FROM auth.users AS u
		WHERE u.id = $2
			AND u.deleted_at IS NULL
		ON CONFLICT (fingerprint, user_id) DO UPDATE
		SET first_seen_at = least(c.first_seen_at, $3), last_seen_at = greatest(c.last_seen_at, $3)`, fingerprint, p.UserID, at)
	return err
}
