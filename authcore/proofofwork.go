package authcore

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/proofofwork"
)

// WorkChallenge is a challenge that a client can solve. It leaves nothing behind.
func (s *Service) WorkChallenge() (proofofwork.Challenge, error) { return s.work.New() }

// WorkTicket is for who waits instead of working, on a network.
func (s *Service) WorkTicket(network string) string { return s.work.Ticket(network) }

// UnderPressure reports whether so many have asked lately for what makes accounts
// and mails that each is to work for it.
func (s *Service) UnderPressure() bool { return s.pressure.Now(s.now()) }

// CountPressure counts one who asks, and reports what [Service.UnderPressure]
// does. Each edge counts its own.
func (s *Service) CountPressure() bool { return s.pressure.Count(s.now()) }

// TakeWork takes the solution of a challenge, once on all edges. It fails with
// [proofofwork.ErrInvalid].
func (s *Service) TakeWork(ctx context.Context, payload string) error {
	taken, err := s.work.Check(payload)
	if err != nil {
		return err
	}
	return s.takeWork(ctx, taken)
}

// TakeTicket takes a ticket that was waited for, once on all edges. It fails with
// [proofofwork.ErrInvalid].
func (s *Service) TakeTicket(ctx context.Context, ticket, network string) error {
	taken, _, err := s.work.CheckTicket(ticket, network)
	if err != nil {
		return err
	}
	return s.takeWork(ctx, taken)
}

func (s *Service) takeWork(ctx context.Context, taken proofofwork.Taken) error {
	n, err := s.db.Exec(ctx, system(),
		`INSERT INTO auth.proofs_of_work (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`,
		taken.Digest[:], taken.Expires)
	if err == nil && n == 0 {
		err = proofofwork.ErrInvalid
	}
	return err
}

// workKept is how long a proof outlives its end: the clocks of the edges decide
// whether one is still good, that of PostgreSQL when its row goes.
const workKept = time.Hour

const pruneWork = `
	DELETE FROM auth.proofs_of_work
	WHERE digest IN (
	  SELECT p.digest
	  FROM auth.proofs_of_work AS p
	  WHERE p.expires_at < now() - make_interval(secs => $1)
	  ORDER BY p.expires_at
	  LIMIT $2)`

func pruneProofsOfWork(ctx context.Context, db dbscope.DB) error {
	_, err := db.Prune(ctx, "prune auth.proofs_of_work", pruneWork, workKept.Seconds())
	return err
}
