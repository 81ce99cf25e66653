package authcore_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/internal/proofofwork"
)

// A solution, and a ticket, is taken once, however many edges it is sent to at
// once.
func TestWorkIsTakenOnce(t *testing.T) {
	t.Parallel()
	db, clock := pgtest.New(t), new(wallClock)
	one, other := edgeAt(t, db, clock.now), edgeAt(t, db, clock.now)
	challenge, err := one.WorkChallenge()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := proofofwork.Solve(challenge)
	if err != nil {
		t.Fatal(err)
	}
	const network = "192.0.2.1"
	ticket := one.WorkTicket(network)
	if err := other.TakeTicket(t.Context(), ticket, network); !errors.Is(err, proofofwork.ErrInvalid) {
		t.Errorf("a ticket that nobody waited for: %v", err)
	}
	clock.advance(proofofwork.Wait + time.Second)
	if err := other.TakeTicket(t.Context(), ticket, "192.0.2.2"); !errors.Is(err, proofofwork.ErrInvalid) {
		t.Errorf("from another network: %v", err)
	}
	for name, take := range map[string]func(*authcore.Service) error{
		"solution": func(s *authcore.Service) error { return s.TakeWork(t.Context(), payload) },
		"ticket":   func(s *authcore.Service) error { return s.TakeTicket(t.Context(), ticket, network) },
	} {
		var taken, refused atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			s := one
			if i%2 == 1 {
				s = other
			}
			all.Go(func() {
				switch err := take(s); {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, proofofwork.ErrInvalid):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if taken.Load() != 1 || refused.Load() != 15 {
			t.Errorf("%s: taken %d times, refused %d", name, taken.Load(), refused.Load())
		}
	}
	// What is kept is kept beyond the end of the challenge, for edges whose clocks
	// differ, and goes then.
	rows := func() int {
		t.Helper()
		n, err := dbscope.Row[struct{ N int }](t.Context(), db.Pool, dbscope.System(), `SELECT count(*) AS n FROM auth.proofs_of_work`)
		if err != nil {
			t.Fatal(err)
		}
		return n.N
	}
	change(t, db, `UPDATE auth.proofs_of_work SET expires_at = now() - interval '59 minutes'`)
	if err := one.Purge(t.Context()); err != nil || rows() != 2 {
		t.Errorf("%d rows are left of 2, %v", rows(), err)
	}
	change(t, db, `UPDATE auth.proofs_of_work SET expires_at = now() - interval '61 minutes'`)
	if err := one.Purge(t.Context()); err != nil || rows() != 0 {
		t.Errorf("%d rows are left, %v", rows(), err)
	}
}
