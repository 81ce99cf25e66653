package purchase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

const (
	// abandonedAfter is how long a pending purchase is left alone. Payment
	// links are closed by then.
	abandonedAfter = 25 * time.Hour
	// expiryBatch bounds how many are looked at in one go.
	expiryBatch = 100
)

// ExpireAbandoned ends pending purchases that nobody goes on with, and returns
// how many. Each is looked up at Stripe: what was paid after all completes,
// and what a bank still works on stays. A buyer who pays after the end gets
// their credits none the less.
func (s *Service) ExpireAbandoned(ctx context.Context) (int, error) {
	if s.stripe == nil {
		return 0, nil
	}
	old, err := s.abandonedPurchases(ctx)
	if err != nil {
		return 0, err
	}
	expired := 0
	var failed []error
	for _, p := range old {
		ended, err := s.expire(ctx, p.ID)
		switch {
		case settle.Permanent(err):
			s.log.WarnContext(ctx, "a pending purchase needs a human", "purchase", p.ID, "error", err)
		case err != nil:
			failed = append(failed, fmt.Errorf("expire purchase %s: %w", p.ID, err))
		}
		if ended {
			expired++
			s.observed("expired")
		}
	}
	return expired, errors.Join(failed...)
}

// abandonedPurchases are the next to look at. They go to the end of the line.
func (s *Service) abandonedPurchases(ctx context.Context) ([]struct{ ID string }, error) {
	return dbscope.List[struct{ ID string }](ctx, s.db, dbscope.System(), `
		WITH next AS (
			SELECT id
			FROM credits.purchases
			WHERE status = 'pending'
				AND created_at < $1
			ORDER BY updated_at
			LIMIT $2
			FOR UPDATE SKIP LOCKED
		)
		UPDATE credits.purchases AS p
		SET updated_at = $3
		FROM next
		WHERE p.id = next.id
		RETURNING p.id`, s.now().Add(-abandonedAfter), expiryBatch, s.now())
}

// expire brings one purchase up to date and fails it where nothing goes on.
func (s *Service) expire(ctx context.Context, id string) (ended bool, err error) {
	_, err = s.refresh(ctx, paymentReference{purchaseID: id}, func(p purchaseRow, now stripeapi.Payment) stripeapi.Payment {
		ended = p.Status == Pending && now.Progress == stripeapi.Open
		if ended {
			now.Progress, now.Reason = stripeapi.Over, "expired"
		}
		return now
	})
	return ended && err == nil, err
}

// refresh brings the purchase that a payment reference leads to up to date without an event. Adjust
// changes what Stripe says before it is applied; nil leaves it.
func (s *Service) refresh(ctx context.Context, ref paymentReference, adjust func(purchaseRow, stripeapi.Payment) stripeapi.Payment) (stripeapi.Payment, error) {
	return settle.RetryStale(ctx, func() (stripeapi.Payment, error) {
		p, now, err := s.purchaseNow(ctx, ref)
		if err != nil {
			return now, err
		}
		if adjust != nil {
			now = adjust(p, now)
		}
		return now, settle.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error { return s.settle(ctx, tx, p, now) })
	})
}
