package billing

import (
	"context"
	"errors"
	"sync"
	"time"

	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
)

const (
	// tick is how often a job looks whether it is due.
	tick = time.Minute
	// topUpTick is how soon an account that runs low is topped up.
	topUpTick = 2 * time.Second
	// jobRetry is how soon a job that failed is tried again, at the latest.
	jobRetry = 5 * time.Minute
)

// job is work that comes round.
type job struct {
	name  string
	every time.Duration
	run   func(context.Context) error
	next  time.Time
}

// Run does what no request asks for, until ctx ends: it ends abandoned
// purchases, tops up accounts that run low, grants months, compares with Stripe and forgets what is no longer
// needed. A job that fails is tried again within five minutes. One that Stripe
// keeps waiting keeps no other from its turn.
func (s *Service) Run(ctx context.Context) error {
	jobs := []*job{
		{name: "expire abandoned purchases", every: 5 * time.Minute, run: func(ctx context.Context) error {
			_, err := s.ExpireAbandoned(ctx)
			return err
		}},
		{name: "reconcile with Stripe", every: time.Hour, run: func(ctx context.Context) error {
			_, err := s.Reconcile(ctx)
			return err
		}},
		{name: "top up", every: topUpTick, run: s.TopUpDue},
		{name: "grant months", every: tick, run: s.GrantDue},
		{name: "end subscriptions of users who are gone", every: tick, run: s.EndOrphans},
		{name: "reconcile subscriptions", every: time.Hour, run: s.reconcileSubscriptions},
		{name: "forget", every: time.Hour, run: s.forget},
	}
	var running sync.WaitGroup
	for _, j := range jobs {
		running.Go(func() { s.keepRunning(ctx, j) })
	}
	running.Wait()
	return nil
}

func (s *Service) keepRunning(ctx context.Context, j *job) {
	ticker := time.NewTicker(min(tick, j.every))
	defer ticker.Stop()
	for {
		s.runDue(ctx, j)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Service) runDue(ctx context.Context, j *job) {
	if ctx.Err() != nil || s.now().Before(j.next) {
		return
	}
	wait := j.every
	if err := j.run(ctx); err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "a billing job failed", "job", j.name, "error", err)
		wait = min(wait, jobRetry)
	}
	j.next = s.now().Add(wait)
}

// Reconcile compares the last days of Stripe with our purchases, see
// [purchase.Service.Reconcile].
func (s *Service) Reconcile(ctx context.Context) (purchase.Drift, error) {
	return s.purchases.Reconcile(ctx)
}

// reconcileSubscriptions makes up for events that never came.
func (s *Service) reconcileSubscriptions(ctx context.Context) error {
	if s.stripe == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settle.ReconcileTimeout)
	defer cancel()
	since := s.now().Add(-settle.ReconcileWindow)
	return errors.Join(s.subscriptions.Reconcile(ctx, since), s.invoices.Reconcile(ctx, since))
}

// forget drops old events, and the addresses and cards of customers who closed
// their accounts.
func (s *Service) forget(ctx context.Context) error {
	now := s.now()
	return errors.Join(s.events.Forget(ctx, now), stripeapi.EraseClosed(ctx, s.db, now), s.ForgetClosed(ctx))
}
