package creditcore

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
)

// jobLimit bounds the accounts of one round of a job.
const jobLimit = 200

// Run gives back expired holds, expires lots that nobody touches, and makes
// the refunds of [Service.Compensate] that did not succeed at once, and those
// of debits whose answer was lost. It returns when ctx has ended and a last try
// was made. Any number of edges may run it.
func (s *Service) Run(ctx context.Context) error {
	reap, expire := time.NewTicker(s.cfg.ReapEvery), time.NewTicker(s.cfg.ExpireEvery)
	defer reap.Stop()
	defer expire.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			s.compensateAll(context.WithoutCancel(ctx), true)
			return ctx.Err()
		case <-reap.C:
			s.round(ctx, "give back expired holds", `SELECT credits.reap($1) AS n`, func(n int64) {
				for range n {
					s.observeHold("expired")
				}
				if n > 0 {
					s.log.Warn("holds expired: nobody settled or released them", "holds", n)
				}
			})
		case <-expire.C:
			s.round(ctx, "expire lots", `SELECT credits.expire_due($1) AS n`, func(int64) {})
		case <-s.compensations.added:
			retry.Reset(s.compensations.wait())
		case <-retry.C:
			s.compensateAll(ctx, false)
			retry.Reset(s.compensations.wait())
		}
	}
}

// round runs a job until it finds nothing more to do.
func (s *Service) round(ctx context.Context, name, sql string, done func(n int64)) {
	type result struct{ N int64 }
	for ctx.Err() == nil {
		r, err := dbscope.One[result](ctx, s.db, dbscope.System(), sql, jobLimit)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Warn(name, "error", err)
			}
			return
		}
		done(r.N)
		if r.N < jobLimit {
			return
		}
	}
}
