package subscription

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore/billing/invoice"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/internal/dbscope"
)

type knownSubscription struct {
	Revision int64
	PlanID   string
	UserID   string
}

// subscriptionRevision is zero where there is no row.
func (s *Service) subscriptionRevision(ctx context.Context, stripeID string) (knownSubscription, error) {
	k, err := dbscope.One[knownSubscription](ctx, s.db, dbscope.System(), `
		SELECT revision, plan_id, user_id
		FROM subscriptions.subscriptions
		WHERE stripe_subscription_id = $1`, stripeID)
	if errors.Is(err, pgx.ErrNoRows) {
		return knownSubscription{}, nil
	}
	return k, err
}

// storeSubscription writes a subscription as Stripe had it, unless our row
// moved since (ErrStale). What ended stays ended.
func (s *Service) storeSubscription(ctx context.Context, tx pgx.Tx, r subscriptionRow) error {
	if err := invoice.LockSubscriber(ctx, tx, r.UserID); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO subscriptions.subscriptions AS s (user_id, plan_id, stripe_subscription_id, stripe_customer_id,
			stripe_price_id, seats, status, billing_interval, current_period_start, current_period_end, cancel_at_period_end,
			canceled_at, ended_at, trial_start, trial_end, metadata, created_at, updated_at, surplus, revision)
		SELECT @user_id, @plan_id, @stripe_subscription_id, @stripe_customer_id, nullif(@stripe_price_id, ''), @seats, @status, @billing_interval, @period_start, @period_end, @cancel_at_period_end, @canceled_at, @ended_at, @trial_start, @trial_end, @metadata, @created_at, @now, true, 1
		WHERE @revision = coalesce((SELECT revision FROM subscriptions.subscriptions WHERE stripe_subscription_id = @stripe_subscription_id), 0)
		ON CONFLICT (stripe_subscription_id) DO UPDATE
		SET plan_id = excluded.plan_id, stripe_customer_id = excluded.stripe_customer_id,
			stripe_price_id = excluded.stripe_price_id, seats = excluded.seats,
			status = CASE WHEN s.status IN ('canceled', 'incomplete_expired') THEN s.status ELSE excluded.status END,
			billing_interval = excluded.billing_interval, current_period_start = excluded.current_period_start,
			current_period_end = excluded.current_period_end, cancel_at_period_end = excluded.cancel_at_period_end,
			canceled_at = excluded.canceled_at, ended_at = coalesce(excluded.ended_at, s.ended_at),
			trial_start = excluded.trial_start, trial_end = excluded.trial_end, metadata = excluded.metadata,
			updated_at = excluded.updated_at, surplus = s.surplus OR NOT s.live, revision = s.revision + 1`, pgx.StrictNamedArgs{
		"user_id": r.UserID, "plan_id": r.PlanID, "stripe_subscription_id": r.StripeSubscriptionID,
		"stripe_customer_id": r.StripeCustomerID, "stripe_price_id": r.StripePriceID, "seats": r.Seats, "status": r.Status,
		"billing_interval": r.BillingInterval, "period_start": r.CurrentPeriodStart, "period_end": r.CurrentPeriodEnd,
		"cancel_at_period_end": r.CancelAtPeriodEnd, "canceled_at": r.CanceledAt, "ended_at": r.EndedAt,
		"trial_start": r.TrialStart, "trial_end": r.TrialEnd, "metadata": r.Metadata, "created_at": r.CreatedAt,
		"now": s.now(), "revision": r.Revision,
	})
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return settle.ErrStale
	}
	if err := s.elect(ctx, tx, r.UserID); err != nil {
		return err
	}
	if err := invoice.Adopt(ctx, tx, *r.StripeSubscriptionID); err != nil {
		return err
	}
	return s.invoices.SettlePeriods(ctx, tx, r.UserID)
}

// endMissing ends a subscription that Stripe does not know any more, unless
// our row moved since (ErrStale). What a live key made goes on under a test
// key, which cannot know of it.
func (s *Service) endMissing(ctx context.Context, tx pgx.Tx, stripeID string, known knownSubscription) error {
	if err := invoice.LockSubscriber(ctx, tx, known.UserID); err != nil {
		return err
	}
	var ended bool
	err := tx.QueryRow(ctx, `
		UPDATE subscriptions.subscriptions s
		SET status = CASE WHEN g.gone AND s.live THEN 'canceled' ELSE s.status END,
			ended_at = CASE WHEN g.gone AND s.live THEN @now ELSE s.ended_at END,
			updated_at = @now, revision = revision + 1
		FROM (
			SELECT @live OR NOT EXISTS (
				SELECT
				FROM subscriptions.subscriptions o
				JOIN credits.stripe_customers c USING (stripe_customer_id)
				WHERE o.stripe_subscription_id = @stripe_id
					AND c.livemode) AS gone) g
		WHERE s.stripe_subscription_id = @stripe_id
			AND s.revision = @revision
		RETURNING g.gone`, pgx.StrictNamedArgs{
		"stripe_id": stripeID, "revision": known.Revision, "now": s.now(), "live": s.stripe.Live(),
	}).Scan(&ended)
	if errors.Is(err, pgx.ErrNoRows) {
		return settle.ErrStale
	}
	if err != nil || !ended {
		return err
	}
	settle.OnCommit(ctx, func() {
		s.log.WarnContext(ctx, "a subscription that Stripe does not know has ended", "subscription", stripeID, "user", known.UserID)
	})
	if err := s.elect(ctx, tx, known.UserID); err != nil {
		return err
	}
	return s.invoices.SettlePeriods(ctx, tx, known.UserID)
}

// elect makes the oldest live subscription of a user the one that counts. Any
// other is surplus: he pays twice, and somebody has to look at it.
func (s *Service) elect(ctx context.Context, tx pgx.Tx, userID string) error {
	const elected = `(
		SELECT o.id
		FROM subscriptions.subscriptions o
		WHERE o.user_id = $1
			AND o.live
		ORDER BY o.created_at, o.stripe_subscription_id
		LIMIT 1)`
	tag, err := tx.Exec(ctx, `
		UPDATE subscriptions.subscriptions
		SET surplus = true
		WHERE user_id = $1
			AND live
			AND id <> `+elected, userID)
	if err != nil {
		return err
	}
	if n := tag.RowsAffected(); n > 0 {
		settle.OnCommit(ctx, func() { s.log.WarnContext(ctx, "a user pays more than one subscription", "user", userID, "surplus", n) })
	}
	_, err = tx.Exec(ctx, `
		UPDATE subscriptions.subscriptions
		SET surplus = false
		WHERE user_id = $1
			AND surplus
			AND (NOT live OR id = `+elected+`)`, userID)
	return err
}
