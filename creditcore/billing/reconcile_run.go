package billing

import (
	"context"
	"sync"
	"time"
)

const (
	tick     = time.Minute
	retryJob = 5 * time.Minute
)

// job is work that comes round.
type job struct {
	name  string
	every time.Duration
	run   func(context.Context) error
	next  time.Time
}

// Run does what no request asks for, until ctx ends: it ends abandoned
// purchases, grants months, compares with Stripe and forgets what is no longer
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
		{name: "grant months", every: tick, run: s.grantDue},
		{name: "end subscriptions of users who are gone", every: tick, run: s.endOrphans},
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
	ticker := time.NewTicker(tick)
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
		wait = min(wait, retryJob)
	}
	j.next = s.now().Add(wait)
}
