package authcore

import (
	"context"
	"errors"
	"sync"
	"time"

	"mana.how/edge/authcore/feed"
	"mana.how/edge/authcore/revocation"
)

// sweepEvery is how often what has expired is dropped.
const sweepEvery = time.Minute

// Run listens for revocations and key changes, rotates keys on schedule and
// sweeps what has expired, until ctx ends. It rides out a database that is
// away. It returns ctx's error.
func (s *Service) Run(ctx context.Context) error {
	if err := s.resealKeys(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("seal signing keys", "error", err) // tried again by sweepLoop
	}
	var running sync.WaitGroup
	for _, loop := range []func(context.Context){s.feed.Run, s.sweepLoop, s.logoutLoop} {
		running.Go(func() { loop(ctx) })
	}
	running.Wait()
	return ctx.Err()
}

// Listening reports whether revocations arrive as they are made, and how long
// ago the last sign of that was. While they do not, they are read over the pool.
func (s *Service) Listening() (age time.Duration, ok bool) { return s.feed.Listening() }

// sweepLoop keeps the keys in time and drops what has expired.
func (s *Service) sweepLoop(ctx context.Context) {
	for feed.Sleep(ctx, sweepEvery) {
		s.revoked.Forget(s.now().Add(-revocation.MemorySpan))
		for name, step := range map[string]func(context.Context) error{
			"rotate keys":              s.ring.RotateOnSchedule,
			"seal keys":                s.resealKeys,
			"seal second factors":      s.resealFactors,
			"seal tokens of providers": s.resealProviderTokens,
			"purge":                    s.purge,
		} {
			if err := step(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) {
				s.log.Error(name, "error", err)
			}
		}
	}
}

// logoutLoop passes sessions of clients that have ended on to the queue.
func (s *Service) logoutLoop(ctx context.Context) {
	for feed.Sleep(ctx, time.Second) {
		for {
			more, err := s.QueueLogouts(ctx)
			if err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) {
				s.log.Warn("queue logouts for OpenID clients", "error", err)
			}
			if err != nil || !more {
				break
			}
		}
	}
}
