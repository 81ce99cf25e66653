package creditcore_test

import (
	"context"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// quick makes processes be missed soon.
var quick = creditcore.Config{BeatEvery: 20 * time.Millisecond, GoneAfter: 400 * time.Millisecond, ReapEvery: 50 * time.Millisecond}

// process is another edge at the same database. Its Run lasts until stop.
func (l *ledger) process(cfg creditcore.Config) (s *creditcore.Service, stop func()) {
	l.t.Helper()
	s = creditcore.New(cfg, creditcore.Deps{Pool: l.db.Pool})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	l.t.Cleanup(stop)
	return s, stop
}

func inFlight(t *testing.T, s *creditcore.Service, user string, amount creditcore.Amount) creditcore.Receipt {
	t.Helper()
	r, err := s.Debit(t.Context(), creditcore.Debit{UserID: user, Amount: amount, AppID: "app", Operation: "op", Description: "request", InFlight: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edges is how many processes the database knows.
func (l *ledger) edges() int64 {
	l.t.Helper()
	n, err := dbscope.Row[struct{ N int64 }](l.t.Context(), l.db.Pool, dbscope.System(), `SELECT count(*) AS n FROM credits.edges`)
	if err != nil {
		l.t.Fatal(err)
	}
	return n.N
}

// A process that ends without a word had charges in flight: those come back,
// also those it had not named yet; what was answered before stands.
func TestChargesInFlightOfADeadProcessComeBack(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 1000)
	dead, stop := l.process(quick)
	answered := inFlight(t, dead, alice, 1)
	if err := dead.Begun(t.Context(), answered); err != nil {
		t.Fatal(err)
	}
	named := inFlight(t, dead, alice, 10)
	eventually(t, "the charge is named", func() bool {
		n, err := dbscope.Row[struct{ N int64 }](t.Context(), l.db.Pool, dbscope.System(),
			`SELECT count(*) AS n FROM credits.edges WHERE open = ARRAY[$1]`, named.Entry.ID)
		return err == nil && n.N == 1
	})
	stop()
	inFlight(t, dead, alice, 100) // after its last word
	l.wantAvailable(alice, 1000-111)

	for range 2 { // both look, once is given back
		l.process(quick)
	}
	eventually(t, "the charges come back", func() bool { return l.balance(alice).Available == 999 })
	eventually(t, "the process is forgotten", func() bool { return l.edges() == 0 })
}

// A process that stops in order leaves nothing to look after.
func TestAnOrderlyStopLeavesNoEdge(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 100)
	s, stop := l.process(quick)
	r := inFlight(t, s, alice, 10)
	if _, err := s.Compensate(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := s.Begun(t.Context(), inFlight(t, s, alice, 10)); err != nil {
		t.Fatal(err)
	}
	if n := l.edges(); n != 1 {
		t.Errorf("%d edges", n)
	}
	stop()
	if n := l.edges(); n != 0 {
		t.Errorf("%d edges are left", n)
	}
	l.wantAvailable(alice, 90)
}

// A process that was only stopped for a while is taken for gone. What it then
// answers all the same is charged again, once; what it gives back is not given
// back twice.
func TestAPausedProcessTakesAgainWhatItAnswers(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 1000)
	relay, through := pgtest.NewRelay(t, l.db.DSN)
	paused := creditcore.New(quick, creditcore.Deps{Pool: poolOf(t, through)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = paused.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()

	served, failed := inFlight(t, paused, alice, 10), inFlight(t, paused, alice, 100)
	relay.Cut(true)
	l.process(quick)
	eventually(t, "both come back", func() bool { return l.balance(alice).Available == 1000 })
	relay.Cut(false)
	eventually(t, "what was answered is charged again", func() bool {
		return paused.Begun(t.Context(), served) == nil && l.balance(alice).Available == 990
	})
	if _, err := paused.Compensate(t.Context(), failed); err != nil {
		t.Error(err)
	}
	l.wantAvailable(alice, 990)
	if err := paused.Begun(t.Context(), inFlight(t, paused, alice, 1)); err != nil { // it has a new name
		t.Error(err)
	}
	l.wantAvailable(alice, 989)
}

// A slow request keeps what it reserved: lifetimes are for processes that are
// gone.
func TestHoldsOfALiveProcessDoNotLapse(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 5)
	s, stop := l.process(quick)
	hold := func(key string) (creditcore.Held, error) {
		return s.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: 5, AppID: "app", Key: key, TTL: 2 * time.Second})
	}
	for _, key := range []string{"", "k"} {
		h, err := hold(key)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if _, err := hold(""); !short(err) {
			t.Fatalf("a second hold of the same credits: %v", err)
		}
		if _, err := s.Release(t.Context(), h.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := hold(""); err != nil {
		t.Fatal(err)
	}
	stop()
	l.process(quick)
	eventually(t, "the hold of a process that is gone lapses", func() bool { return l.balance(alice).Available == 5 })
}
