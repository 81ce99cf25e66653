package billing

import (
	"context"
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
// needed. A job that fails is tried again within five minutes.
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
		{name: "subscriptions", every: tick, run: s.runSubscriptions},
		{name: "reconcile subscriptions", every: time.Hour, run: s.reconcileSubscriptions},
		{name: "forget", every: time.Hour, run: s.forget},
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for _, j := range jobs {
			s.runDue(ctx, j)
		}
		select {
		case <-ctx.Done():
			return nil
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
