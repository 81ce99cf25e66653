package creditcore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// edge is a process at the database of l, with the helpers of l.
func (l *ledger) edge(cfg creditcore.Config) (e *ledger, stop func()) {
	l.t.Helper()
	s, stop := l.process(cfg)
	return &ledger{s, l.t, l.db, false}, stop
}

// charge charges a user as a route with durability batched does, and has the response
// begin, or come to nothing.
func (l *ledger) charge(user string, amount creditcore.Amount, answered bool) (leased bool, err error) {
	d := creditcore.Debit{UserID: user, Amount: amount, AppID: "app", Operation: "batched", Description: "a request", InFlight: true}
	if c, ok := l.DebitLeased(d); ok {
		if answered {
			c.Begun()
		} else {
			c.Cancel()
		}
		return true, nil
	}
	r, err := l.Debit(l.t.Context(), d)
	switch {
	case err != nil:
		return false, err
	case answered:
		return false, l.Begun(l.t.Context(), r)
	}
	_, err = l.Compensate(l.t.Context(), r)
	return false, err
}

// warm charges a user until there is a lease, and returns how many charges that took,
// the one to the lease among them.
func (l *ledger) warm(user string, amount creditcore.Amount) (n int) {
	l.t.Helper()
	for n = 1; n < 1000; n++ {
		leased, err := l.charge(user, amount, true)
		if err != nil {
			l.t.Fatal(err)
		}
		if leased {
			return n
		}
		time.Sleep(5 * time.Millisecond)
	}
	l.t.Fatal("there is no lease")
	return n
}

// openLeases is what leases reserve of an account.
func (l *ledger) openLeases(user string) (sum creditcore.Amount) {
	l.t.Helper()
	type total struct{ Amount creditcore.Amount }
	r, err := dbscope.Row[total](l.t.Context(), l.db.Pool, dbscope.System(),
		`SELECT coalesce(sum(amount), 0)::bigint AS amount FROM credits.holds WHERE user_id = $1 AND lease AND state = 'open'`, user)
	if err != nil {
		l.t.Fatal(err)
	}
	return r.Amount
}

// rows are the user's charges, newest first.
func (l *ledger) rows(user string) []creditcore.Entry {
	l.t.Helper()
	list, err := l.HistoryOf(l.t.Context(), creditcore.Caller{UserID: user}, creditcore.HistoryFilter{Type: creditcore.Usage}, 200)
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

// What is charged to a lease is in the history as what is charged at once is, and what
// came to nothing is not.
func TestLeaseChargesAsADebitDoes(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	e, _ := l.edge(creditcore.Config{})
	user := l.user("busy", creditcore.Credits(1000))
	d := creditcore.Debit{UserID: user, Amount: 1500, AppID: "app", Operation: "op", Description: "what for", Metadata: []byte(`{"path": "/x"}`), InFlight: true}
	full, err := e.Debit(t.Context(), d)
	if err != nil || e.Begun(t.Context(), full) != nil {
		t.Fatal(err)
	}
	n := e.warm(user, 1000)
	eventually(t, "what warmed it is written", func() bool { return len(e.rows(user)) == n+1 })
	for i := range 5 {
		c, ok := e.DebitLeased(d)
		if !ok {
			t.Fatal("there is no lease")
		}
		if i == 1 {
			c.Cancel()
		} else {
			c.Begun()
		}
	}
	eventually(t, "charges are written", func() bool { return len(e.rows(user)) == n+5 })
	for _, row := range e.rows(user)[:4] {
		want := full.Entry
		want.ID, want.Sequence, want.BalanceBefore, want.BalanceAfter, want.CreatedAt, want.CompletedAt =
			row.ID, row.Sequence, row.BalanceBefore, row.BalanceBefore-1500, row.CreatedAt, row.CompletedAt
		if diff := gocmp.Diff(want, row); diff != "" {
			t.Errorf("a row of a lease (-debit +lease):\n%s", diff)
		}
	}
	b := e.balance(user)
	if got, want := b.Available+b.Held, creditcore.Credits(1000)-1500*5-1000*creditcore.Amount(n); got != want {
		t.Errorf("balance %s, want %s", got, want)
	}
}

// Of many requests at once on two edges exactly those pass that the account can pay,
// whatever is reserved where.
func TestLeasesOnTheBorderOverTwoEdges(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	var leased atomic.Int64
	for round := 0; round < 2 || leased.Load() == 0 && round < 20; round++ { // a busy machine may get to no lease
		user := l.user(fmt.Sprintf("border-%d", round), 0)
		const price, paid = 7, 60
		a, _ := l.edge(creditcore.Config{})
		b, _ := l.edge(creditcore.Config{})
		l.grant(creditcore.Grant{UserID: user, Amount: paid*price + price - 1})
		var passed atomic.Int64
		concurrently(4*paid, func(i int) {
			time.Sleep(rand.N(400 * time.Millisecond))
			edge := a
			if i%2 == 0 {
				edge = b
			}
			var ofLease bool
			err := patiently(func() (err error) {
				ofLease, err = edge.charge(user, price, i%7 != 0)
				return err
			})
			switch {
			case err == nil && i%7 != 0:
				passed.Add(1)
				if ofLease {
					leased.Add(1)
				}
			case err != nil && !short(err):
				t.Errorf("charge: %v", err)
			}
		})
		for _, edge := range []*ledger{a, b} { // what came to nothing was free again too late for some
			for {
				err := patiently(func() error {
					_, err := edge.charge(user, price, true)
					return err
				})
				if err != nil {
					if !short(err) {
						t.Errorf("charge: %v", err)
					}
					break
				}
				passed.Add(1)
			}
		}
		if passed.Load() != paid {
			t.Errorf("%d requests passed, want %d", passed.Load(), paid)
		}
		eventually(t, "the leases are given back", func() bool { return l.openLeases(user) == 0 })
		l.wantAvailable(user, price-1)
		if n := len(l.rows(user)); n < paid {
			t.Errorf("%d rows, want %d", n, paid)
		}
	}
	if leased.Load() == 0 {
		t.Error("no lease was used")
	}
}

// Whoever needs what another edge has leased gets it: a debit, a hold, and whoever
// recalls it.
func TestLeaseIsRecalled(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	a, _ := l.edge(creditcore.Config{})
	for name, take := range map[string]func(user string, all creditcore.Amount) error{
		"debit elsewhere": func(user string, all creditcore.Amount) error {
			_, err := l.debit(creditcore.Debit{UserID: user, Amount: all})
			return err
		},
		"debit": func(user string, all creditcore.Amount) error {
			_, err := a.debit(creditcore.Debit{UserID: user, Amount: all})
			return err
		},
		"hold": func(user string, all creditcore.Amount) error {
			_, err := l.Hold(t.Context(), creditcore.Hold{UserID: user, Amount: all})
			return err
		},
	} {
		user := l.user(name, 1000)
		n := a.warm(user, 10)
		open, ok := a.DebitLeased(creditcore.Debit{UserID: user, Amount: 10})
		if !ok || l.openLeases(user) == 0 {
			t.Fatalf("%s: there is no lease", name)
		}
		if err := take(user, 1000-10*creditcore.Amount(n+1)+1); !short(err) {
			t.Errorf("%s: took what is in flight: %v", name, err)
		}
		if err := take(user, 1000-10*creditcore.Amount(n+1)); err != nil {
			t.Errorf("%s: all that is left: %v", name, err)
		}
		l.wantAvailable(user, 0)
		open.Cancel()
		eventually(t, "what was in flight comes back", func() bool { return l.balance(user).Available == 10 })
	}
}

// A lease goes back when its user is idle and when its edge stops; what is in flight
// then is written when it is answered.
func TestLeaseIsGivenBack(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	idle := l.user("idle", 1000)
	quiet, _ := l.edge(creditcore.Config{LeaseIdle: 200 * time.Millisecond})
	n := quiet.warm(idle, 1)
	if l.openLeases(idle) < 8 {
		t.Errorf("%s leased", l.openLeases(idle))
	}
	eventually(t, "the lease of an idle user goes back", func() bool {
		return l.openLeases(idle) == 0 && l.balance(idle).Available == creditcore.Amount(1000-n)
	})

	busy := l.user("busy", 1000)
	e, stop := l.edge(creditcore.Config{LeaseIdle: time.Hour})
	n = e.warm(busy, 10)
	var open []*creditcore.Leased
	for range 3 {
		c, ok := e.DebitLeased(creditcore.Debit{UserID: busy, Amount: 10, AppID: "app"})
		if !ok {
			t.Fatal("there is no lease")
		}
		open = append(open, c)
	}
	stop()
	left := creditcore.Amount(1000 - 10*n)
	if got := l.openLeases(busy); got != 30 {
		t.Errorf("%s are leased when the edge has stopped, want what is in flight", got)
	}
	l.wantAvailable(busy, left-30)
	if _, ok := e.DebitLeased(creditcore.Debit{UserID: busy, Amount: 10}); ok {
		t.Error("an edge that has stopped charges its lease")
	}
	if !e.Owes() {
		t.Error("the edge does not say that it has something to write")
	}
	open[0].Begun()
	open[1].Cancel()
	open[2].Begun()
	eventually(t, "what was in flight is written", func() bool { return !e.Owes() && l.openLeases(busy) == 0 })
	l.wantAvailable(busy, left-20)
}

// What a dead edge has leased comes back to the last credit, but for what it had
// written.
func TestLeaseOfADeadEdgeComesBack(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.process(creditcore.Config{ReapEvery: 50 * time.Millisecond})
	user := l.user("alice", 1000)
	far, relay, _ := l.afar(creditcore.Config{LeaseTTL: 4 * time.Second, LeaseIdle: time.Hour})
	e := &ledger{far, t, l.db, false}
	n := e.warm(user, 10)
	eventually(t, "the charges are written", func() bool { return len(l.rows(user)) == n })
	relay.Mute(true) // nothing comes back to it: it is as good as gone
	for range 5 {
		if c, ok := e.DebitLeased(creditcore.Debit{UserID: user, Amount: 10}); ok {
			defer c.Cancel()
		}
	}
	eventually(t, "the lease comes back", func() bool { return l.balance(user).Available == creditcore.Amount(1000-10*n) })
	if _, ok := e.DebitLeased(creditcore.Debit{UserID: user, Amount: 10}); ok {
		t.Error("a lease whose time is over is spent")
	}
	relay.Mute(false)
}

// told is what credits.lease says of a lease.
type told struct {
	Outcome                   string
	Reserved, Available, Lost creditcore.Amount
}

// lease has the ledger bring a lease up to date, with charges of 10 by these names.
func (l *ledger) lease(user string, again bool, keep, want, least creditcore.Amount, charges ...string) (told, error) {
	l.t.Helper()
	of, amounts, texts := make([]int, len(charges)), make([]int64, len(charges)), make([]string, len(charges))
	for i := range charges {
		of[i], amounts[i] = 1, 10
	}
	return dbscope.Row[told](l.t.Context(), l.db.Pool, dbscope.System(),
		`SELECT outcome, reserved, available, lost
		 FROM `+functions.Schema+`.lease(true, $1, '1 hour', ARRAY[$2], ARRAY['lease-of-' || $2], ARRAY[$3::bigint], ARRAY[$4::bigint], ARRAY[$5::bigint], $6, $7, $8, $9, $9, $9, NULL)`,
		again, user, int64(keep), int64(want), int64(least), of, charges, amounts, texts)
}

// A flush whose answer was lost is made again: its charges are written once, whichever
// of the two comes first, and with what has been charged since.
func TestFlushIsMadeAgain(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	user := l.user("alice", 1000)
	for i, step := range []struct {
		again      bool
		keep, want creditcore.Amount
		least      creditcore.Amount
		charges    []string
		told       told
	}{
		{false, 0, 100, 10, nil, told{"leased", 100, 900, 0}},
		{false, 0, 100, 10, []string{"a", "b"}, told{"leased", 100, 880, 0}},
		{true, 0, 100, 10, []string{"a", "b"}, told{"leased", 100, 880, 0}},
		{true, 20, 100, 10, []string{"a", "b", "c"}, told{"leased", 120, 850, 0}},
		{false, 20, 50, 10, nil, told{"leased", 70, 900, 0}},
		{false, 20, 5000, 10, nil, told{"leased", 495, 475, 0}}, // half of what is free
		{false, 20, 0, 10, nil, told{"leased", 20, 950, 0}},
		{false, 0, 0, 10, []string{"d"}, told{"leased", 0, 960, 0}},
		{false, 0, 100, 10, nil, told{"over", 0, 960, 0}},
		{false, 0, 0, 10, []string{"e"}, told{"over", 0, 950, 0}}, // late
	} {
		got, err := l.lease(user, step.again, step.keep, step.want, step.least, step.charges...)
		if err != nil || got != step.told {
			t.Errorf("step %d: %+v, %v; want %+v", i, got, err, step.told)
		}
		l.sound()
	}
	if got, err := l.lease(user, false, 0, 0, 10, "e"); err == nil {
		t.Errorf("a charge is written twice: %+v", got)
	}
	if n := len(l.rows(user)); n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
	l.wantAvailable(user, 950)
	poor := l.user("poor", 30)
	if got, err := l.lease(poor, false, 0, 100, 16); err != nil || got != (told{"leased", 0, 30, 0}) {
		t.Errorf("less than is worth a lease: %+v, %v", got, err)
	}
	if got, err := l.lease(poor, false, 0, 0, 10, "f", "g", "h", "i"); err != nil || got != (told{"leased", 0, 0, 10}) {
		t.Errorf("more than the account has: %+v, %v", got, err)
	}
}

// An edge whose connections break goes on where it was, and charges everything once.
func TestLeaseSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	user := l.user("alice", 100_000)
	far, relay, stop := l.afar(creditcore.Config{})
	e := &ledger{far, t, l.db, false}
	n := e.warm(user, 10)
	relay.Mute(true)
	for range 4 {
		c, ok := e.DebitLeased(creditcore.Debit{UserID: user, Amount: 10})
		if !ok {
			break
		}
		c.Begun()
		n++
		time.Sleep(30 * time.Millisecond)
	}
	relay.Mute(false)
	eventually(t, "all is written", func() bool { return !e.Owes() })
	stop()
	if rows := len(l.rows(user)); rows != n {
		t.Errorf("%d rows for %d charges", rows, n)
	}
	l.wantAvailable(user, creditcore.Amount(100_000-10*n))
}

// A request that is answered when the time of its lease is over is charged as far as
// the account has what it costs, and never more.
func TestLeaseThatWasReapedIsChargedLate(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for name, left := range map[string]creditcore.Amount{"all": 1000, "some": 25, "nothing": 0} {
		user := l.user(name, 1000)
		e, stop := l.edge(creditcore.Config{LeaseIdle: time.Hour})
		n := e.warm(user, 10)
		var open []*creditcore.Leased
		for range 3 {
			c, ok := e.DebitLeased(creditcore.Debit{UserID: user, Amount: 10, AppID: "app"})
			if !ok {
				t.Fatal("there is no lease")
			}
			open = append(open, c)
		}
		eventually(t, "what warmed it is written", func() bool { return len(l.rows(user)) == n })
		stop()
		l.exec(`UPDATE credits.holds SET expires_at = now() WHERE user_id = $1 AND state = 'open'`, user)
		l.exec(`SELECT ` + functions.Schema + `.reap(10)`)
		before := l.balance(user).Available
		if before > left {
			l.spend(user, before-left)
			before = left
		}
		for _, c := range open {
			c.Begun()
		}
		eventually(t, "the charges are decided", func() bool { return !e.Owes() })
		l.wantAvailable(user, before-min(30, before/10*10))
	}
}

// A lease ends with the next lot that expires: it keeps no credits alive.
func TestLeaseEndsBeforeALotExpires(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	user := l.user("alice", 0)
	e, _ := l.edge(creditcore.Config{LeaseIdle: time.Hour})
	l.grant(creditcore.Grant{UserID: user, Amount: 1000, ExpiresAt: in(time.Hour)})
	e.warm(user, 1)
	l.due(user)
	for {
		_, err := e.charge(user, 1, true)
		if short(err) {
			break
		}
		if err != nil && !errors.Is(err, creditcore.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	eventually(t, "the lease goes back, and expires", func() bool { return !e.Owes() && l.openLeases(user) == 0 })
	l.wantAvailable(user, 0)
	if n := len(l.rows(user)); n > 500 {
		t.Errorf("%d credits were spent when their lot had expired", n)
	}
}

// What a key or an organisation is behind is charged at once, and so is what is
// nonsense.
func TestLeaseIsForPlainCharges(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	e, _ := l.edge(creditcore.Config{})
	user := l.user("alice", 1000)
	e.warm(user, 1)
	for name, d := range map[string]creditcore.Debit{
		"a key":            {UserID: user, Amount: 1, Key: "key"},
		"an API key":       {UserID: user, Amount: 1, APIKey: "key"},
		"an organisation":  {UserID: user, Amount: 1, Organization: "org"},
		"nothing":          {UserID: user, Amount: 0},
		"less":             {UserID: user, Amount: -1},
		"text with a NUL":  {UserID: user, Amount: 1, AppID: "a\x00b"},
		"metadata":         {UserID: user, Amount: 1, Metadata: []byte(`[]`)},
		"more than leased": {UserID: user, Amount: 900},
		"nobody":           {Amount: 1},
	} {
		if _, ok := e.DebitLeased(d); ok {
			t.Errorf("%s is charged to the lease", name)
		}
	}
	if c, ok := e.DebitLeased(creditcore.Debit{UserID: user, Amount: 1}); !ok {
		t.Error("a plain charge is not")
	} else {
		c.Cancel()
	}
}
