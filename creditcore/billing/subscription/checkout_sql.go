package subscription

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// checkoutRow is the one checkout of a user that may be open.
type checkoutRow struct {
	// Subscribed is set where he has a subscription that is alive.
	Subscribed bool
	// SessionID is empty where there was no checkout yet.
	SessionID   string
	URL         string
	Fingerprint []byte
	ExpiresAt   time.Time
	Revision    int64
}

func (s *Service) checkoutOf(ctx context.Context, userID string) (checkoutRow, error) {
	return dbscope.One[checkoutRow](ctx, s.db, dbscope.System(), `
		SELECT EXISTS (SELECT FROM subscriptions.subscriptions WHERE user_id = $1 AND live) AS subscribed,
			coalesce(k.stripe_session_id, '') AS session_id,
			coalesce(k.url, '') AS url,
			k.fingerprint,
			coalesce(k.expires_at, 'epoch') AS expires_at,
			coalesce(k.revision, 0) AS revision
		FROM (VALUES (1)) AS one
		LEFT JOIN subscriptions.checkouts k ON k.user_id = $1`, userID)
}

// storeCheckout reports whether the row was still as r.Revision says.
func (s *Service) storeCheckout(ctx context.Context, r checkoutRow, userID string) (bool, error) {
	n, err := s.db.Exec(ctx, dbscope.System(), `
		INSERT INTO subscriptions.checkouts AS k (user_id, stripe_session_id, url, fingerprint, expires_at, revision, created_at)
		SELECT @user_id, @session_id, @url, @fingerprint, @expires_at, @revision + 1, @now
		WHERE @revision = coalesce((SELECT revision FROM subscriptions.checkouts WHERE user_id = @user_id), 0)
		ON CONFLICT (user_id) DO UPDATE
		SET stripe_session_id = excluded.stripe_session_id, url = excluded.url, fingerprint = excluded.fingerprint,
			expires_at = excluded.expires_at, revision = excluded.revision, created_at = excluded.created_at
		WHERE k.revision = @revision`, pgx.StrictNamedArgs{
		"user_id": userID, "session_id": r.SessionID, "url": r.URL, "fingerprint": r.Fingerprint,
		"expires_at": r.ExpiresAt, "revision": r.Revision, "now": s.now(),
	})
	return n == 1, err
}

// dropCheckout forgets a checkout that was closed. The revision goes on.
func (s *Service) dropCheckout(ctx context.Context, userID, sessionID string) error {
	_, err := s.db.Exec(ctx, dbscope.System(), `
		UPDATE subscriptions.checkouts
		SET expires_at = least(expires_at, $3), revision = revision + 1
		WHERE user_id = $1
			AND stripe_session_id = $2`, userID, sessionID, s.now())
	return err
}
