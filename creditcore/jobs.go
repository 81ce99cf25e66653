package creditcore

import (
	"context"
	"sync"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// jobLimit bounds the accounts of one round of a job.
const jobLimit = 200

const (
	// rollUpEvery and rollUpLimit pace the adding up of usage.
	rollUpEvery = 5 * time.Second
	rollUpLimit = 5000
	// rollUpMargin is longer than a charge takes from its id to its commit.
	rollUpMargin = 15 * time.Second
	// pruneEvery and pruneLimit pace the pruning of holds.
	pruneEvery = 10 * time.Minute
	pruneLimit = 1000
	// prolongEvery is how often holds are looked through: the shortest live a second.
	prolongEvery = 250 * time.Millisecond
)

// Run gives back expired holds and what edges that are gone had in flight,
// prolongs the holds of this process, keeps its leases and writes what is charged
// to them, expires lots that nobody touches and tells of those that end soon, adds
// up usage, prunes holds and alerts, passes on what comes in on closed accounts, and
// makes the refunds of [Service.Compensate] that did not succeed at once, and those
// of debits whose answer was lost. It returns when ctx has ended and a last try was made. Any number of edges may run it.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var jobs sync.WaitGroup
	every := func(d time.Duration, job func(context.Context)) {
		jobs.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					job(ctx)
				}
			}
		})
	}
	every(s.cfg.ReapEvery, s.reap)
	every(s.cfg.ExpireEvery, func(ctx context.Context) {
		s.round(ctx, "expire lots", jobLimit, `SELECT `+functions.Schema+`.expire_due($1) AS n`, jobLimit)
	})
	every(rollUpEvery, func(ctx context.Context) {
		s.round(ctx, "add up usage", rollUpLimit, `SELECT `+functions.Schema+`.roll_up_usage($1, $2) AS n`, rollUpLimit, rollUpMargin)
	})
	every(s.cfg.ExpireEvery, s.logged("pass on what closed accounts have", s.inherit))
	every(pruneEvery, s.prune)
	every(pruneEvery, s.pruneAlerts)
	if s.cfg.ExpiryNotice > 0 {
		every(s.cfg.ExpireEvery, func(ctx context.Context) {
			s.round(ctx, "tell of credits that end soon", jobLimit, `SELECT `+functions.Schema+`.warn_expiring($1, $2) AS n`, jobLimit, s.cfg.ExpiryNotice)
		})
	}
	every(s.cfg.BeatEvery, s.logged("say what is in flight", s.beat))
	every(prolongEvery, s.logged("prolong holds", s.prolong))
	var seen map[string]time.Time
	every(s.cfg.GoneAfter/2, func(ctx context.Context) { seen = s.watch(ctx, seen) })
	jobs.Go(func() { s.payDebts(ctx) })
	jobs.Go(func() { s.keepLeases(ctx) })
	<-ctx.Done()
	cancel()
	jobs.Wait()
	last := context.WithoutCancel(ctx)
	s.compensateAll(last, true)
	s.leave(last)
	return ctx.Err()
}

// payDebts makes the refunds that are owed, when they are due.
func (s *Service) payDebts(ctx context.Context) {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.compensations.added:
		case <-retry.C:
			s.compensateAll(ctx, false)
		}
		retry.Reset(s.compensations.wait())
	}
}

func (s *Service) logged(name string, job func(context.Context) error) func(context.Context) {
	return func(ctx context.Context) {
		if err := job(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn(name, "error", err)
		}
	}
}

// reap gives back what expired holds reserve.
func (s *Service) reap(ctx context.Context) {
	n := s.round(ctx, "give back expired holds", jobLimit, `SELECT `+functions.Schema+`.reap($1) AS n`, jobLimit)
	for range n {
		s.observeHold("expired")
	}
	if n > 0 {
		s.log.Warn("holds expired: nobody settled or released them", "holds", n)
	}
}

// prune deletes holds that were resolved long ago. Ids order by time, so that
// the oldest are found without an index of their own.
func (s *Service) prune(ctx context.Context) {
	s.round(ctx, "prune holds", pruneLimit,
		`WITH old AS (
			DELETE FROM credits.holds WHERE id IN (
				SELECT h.id FROM credits.holds AS h
				WHERE h.id < $2 AND h.state <> 'open' AND h.resolved_at < now() - $3::interval
				ORDER BY h.id LIMIT $1 FOR UPDATE SKIP LOCKED)
			RETURNING 1)
		SELECT count(*) AS n FROM old`, pruneLimit, idBefore(time.Now().Add(-s.cfg.KeepHolds)), s.cfg.KeepHolds)
}

// round runs a job until it finds nothing more to do, and returns how much it
// found. A run that finds less than limit is the last.
func (s *Service) round(ctx context.Context, name string, limit int64, sql string, args ...any) (total int64) {
	type result struct{ N int64 }
	for ctx.Err() == nil {
		r, err := dbscope.One[result](ctx, s.db, dbscope.System(), sql, args...)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Warn(name, "error", err)
			}
			return total
		}
		total += r.N
		if r.N < limit {
			return total
		}
	}
	return total
}
