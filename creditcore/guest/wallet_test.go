package guest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/internal/dbscope"
)

var (
	ada = guest.Wallet{Device: "ada", Network: "192.0.2.1"}
	bob = guest.Wallet{Device: "bob", Network: "192.0.2.2"}
	day = guest.Allowance{Credits: creditcore.Credits(20), PerAddress: creditcore.Credits(50), Total: creditcore.Credits(60)}
)

func TestTakeAndGiveBack(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	f.wantLeft(e, guest.Wallet{Network: ada.Network}, day, 20_000)
	taken, err := e.take(t.Context(), ada, day, 5_000)
	if err != nil || taken.Amount != 5_000 || taken.Left != 15_000 {
		t.Fatalf("%+v, %v", taken, err)
	}
	if err := e.GiveBack(t.Context(), &taken, 3_500); err != nil || taken.Amount != 1_500 || taken.Left != 18_500 {
		t.Errorf("%+v, %v", taken, err)
	}
	if err := e.TakeMore(t.Context(), &taken, 18_500); err != nil || taken.Amount != 20_000 || taken.Left != 0 {
		t.Errorf("%+v, %v", taken, err)
	}
	f.wantShort(e, ada, day, 1, 0, guest.LimitDevice)

	// What is left of the day comes to nobody else's wallet, and begins anew with the next.
	f.wantLeft(e, bob, day, 20_000)
	f.pass(24 * time.Hour)
	f.wantLeft(e, ada, day, 20_000)
	if err := e.GiveBack(t.Context(), &taken, 20_000); err != nil { // of yesterday
		t.Error(err)
	}
	f.wantLeft(e, ada, day, 20_000)
	if _, err := e.take(t.Context(), ada, day, 20_000); err != nil {
		t.Error(err)
	}
	f.wantShort(e, ada, day, 1, 0, guest.LimitDevice)
}

// A device that drops its cookie is another one, and ends at the limit of the address; all
// of them end at that of all. Who is refused leaves no row.
func TestAddressAndTotal(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	for i := range 5 {
		if _, err := e.take(t.Context(), guest.Wallet{Device: fmt.Sprint(i), Network: ada.Network}, day, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	rows := f.rows()
	f.wantShort(e, guest.Wallet{Device: "5", Network: ada.Network}, day, 5_000, 0, guest.LimitAddress)
	if after := f.rows(); after != rows || rows != 7 {
		t.Errorf("%d rows, then %d", rows, after)
	}
	if _, err := e.take(t.Context(), bob, day, 6_000); err != nil {
		t.Fatal(err)
	}
	f.wantShort(e, bob, day, 5_000, 4_000, guest.LimitAll)
	f.wantShort(e, guest.Wallet{Device: "new", Network: "2001:db8::/64"}, day, 5_000, 4_000, guest.LimitAll)
	if _, err := e.take(t.Context(), bob, day, 4_000); err != nil {
		t.Error(err)
	}
	// A route without a limit for all guests does not ask, and does not count for it.
	unbound := guest.Allowance{Credits: day.Credits, PerAddress: day.PerAddress}
	if _, err := e.take(t.Context(), bob, unbound, 1_000); err != nil {
		t.Error(err)
	}
}

func (f *family) rows() int64 {
	f.t.Helper()
	n, err := dbscope.Row[struct{ N int64 }](f.t.Context(), f.db.Pool, dbscope.System(), `SELECT count(*) AS n FROM credits.guest_days`)
	if err != nil {
		f.t.Fatal(err)
	}
	return n.N
}

// 64 requests at once on two edges spend what there is, and not more: of a device, of an
// address and of all guests.
func TestTwoEdgesSpendExactly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wallet func(i int) guest.Wallet
		want   creditcore.Amount
	}{
		"device":  {func(int) guest.Wallet { return ada }, 20_000},
		"address": {func(i int) guest.Wallet { return guest.Wallet{Device: fmt.Sprint(i), Network: ada.Network} }, 50_000},
		"all": {func(i int) guest.Wallet {
			return guest.Wallet{Device: fmt.Sprint(i), Network: fmt.Sprintf("192.0.2.%d", i)}
		}, 60_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFamily(t)
			edges := []edge{f.edge(), f.edge()}
			const price = 2_500
			var spent atomic.Int64
			var all sync.WaitGroup
			for i := range 64 {
				all.Go(func() {
					e := edges[i%2]
					taken, err := e.take(t.Context(), c.wallet(i), day, price)
					var short *guest.SpentError
					switch {
					case err == nil:
						spent.Add(int64(taken.Amount))
					case !errors.As(err, &short):
						t.Error(err)
					}
				})
			}
			all.Wait()
			if spent.Load() != int64(c.want) {
				t.Errorf("spent %d, want %d", spent.Load(), c.want)
			}
			over, err := dbscope.Row[struct{ Spent creditcore.Amount }](t.Context(), f.db.Pool, dbscope.System(),
				`SELECT sum(spent)::bigint AS spent FROM credits.guest_days WHERE kind = 'device'`)
			if err != nil || over.Spent != c.want {
				t.Errorf("counted %s, want %s, %v", over.Spent, c.want, err)
			}
		})
	}
}

// Two edges that take and give back at once neither wait for each other for ever nor lose count.
func TestTakeAgainstGiveBack(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	edges := []edge{f.edge(), f.edge()}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 8 {
				w := guest.Wallet{Device: fmt.Sprint((i + n) % 3), Network: fmt.Sprintf("192.0.2.%d", n%2)}
				taken, err := edges[i%2].take(t.Context(), w, day, 2_000)
				var short *guest.SpentError
				if errors.As(err, &short) {
					continue
				}
				if err == nil {
					err = edges[n%2].GiveBack(t.Context(), &taken, 2_000)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	n, err := dbscope.Row[struct{ Spent creditcore.Amount }](t.Context(), f.db.Pool, dbscope.System(), `SELECT sum(spent)::bigint AS spent FROM credits.guest_days`)
	if err != nil || n.Spent != 0 {
		t.Errorf("%s is counted, %v", n.Spent, err)
	}
}

// The tables hold neither devices nor addresses, and counters are gone after two days.
func TestCountersAreNamelessAndShortLived(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	if _, err := e.take(t.Context(), ada, day, 1_000); err != nil {
		t.Fatal(err)
	}
	plain, err := dbscope.Row[struct{ N int64 }](t.Context(), f.db.Pool, dbscope.System(),
		`SELECT count(*) AS n FROM credits.guest_days WHERE subject IN ($1::text::bytea, $2::text::bytea, sha256($1::text::bytea), sha256($2::text::bytea))`, ada.Device, ada.Network)
	if err != nil || plain.N != 0 {
		t.Errorf("%d rows tell who it was, %v", plain.N, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	f.pass(48 * time.Hour)
	time.Sleep(50 * time.Millisecond)
	if f.rows() != 3 {
		t.Error("counters of the day before yesterday are gone")
	}
	f.pass(24 * time.Hour)
	for range 200 {
		if f.rows() == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if f.rows() != 0 {
		t.Error("old counters stay")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
