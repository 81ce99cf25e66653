package guest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/internal/dbscope"
)

// register makes a user with an address that is not proven, by a request with a wallet.
func (f *family) register(e edge, id, address string, w guest.Wallet) string {
	f.t.Helper()
	err := f.inTx(func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO auth.users (id, name, email) VALUES ($1, '', $2)`, id, address); err != nil {
			return err
		}
		if err := e.ledger.OpenTx(ctx, tx, id); err != nil {
			return err
		}
		return e.PromiseTx(ctx, tx, id, w)
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

// wantGiven proves the address and gives what was promised.
func (f *family) wantGiven(e edge, id string, want creditcore.Amount) {
	f.t.Helper()
	f.exec(`UPDATE auth.users SET email_verified = true WHERE id = $1`, id)
	if given, err := e.Give(f.t.Context(), id); err != nil || given != want {
		f.t.Errorf("%s is given %s, want %s, %v", id, given, want, err)
	}
	f.wantBalance(e, id, want)
}

func (f *family) wantBalance(e edge, id string, want creditcore.Amount) {
	f.t.Helper()
	if b, err := e.ledger.BalanceOf(f.t.Context(), id); err != nil || b.Available != want {
		f.t.Errorf("%s has %s, want %s, %v", id, b.Available, want, err)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	if _, err := e.take(t.Context(), ada, day, 5_000); err != nil {
		t.Fatal(err)
	}
	held, err := e.take(t.Context(), ada, day, 2_000)
	if err != nil {
		t.Fatal(err)
	}
	id := f.register(e, "ada", "ada@mail.test", ada)
	if given, err := e.Give(t.Context(), id); err != nil || given != 0 {
		t.Errorf("without proof: %s, %v", given, err)
	}
	f.wantBalance(e, id, 0)
	// The wallet is spent, also when a request that was under way gives back.
	f.wantShort(e, ada, day, 1_000, 0, guest.LimitDevice)
	if err := e.GiveBack(t.Context(), &held, 2_000); err != nil || held.Left != 0 {
		t.Errorf("%+v, %v", held, err)
	}
	f.wantShort(e, ada, guest.Allowance{Credits: 2 * day.Credits, PerAddress: 2 * day.PerAddress}, 1_000, 0, guest.LimitDevice)

	f.wantGiven(e, id, 13_000)
	if given, err := e.Give(t.Context(), id); err != nil || given != 0 {
		t.Errorf("again: %s, %v", given, err)
	}
	lots, err := e.ledger.Lots(t.Context(), creditcore.Caller{UserID: id})
	if err != nil || len(lots) != 1 || lots[0].Source != creditcore.SourcePromotion || lots[0].ExpiresAt == nil ||
		lots[0].ExpiresAt.Sub(f.now()) > 30*24*time.Hour || lots[0].ExpiresAt.Sub(f.now()) < 29*24*time.Hour {
		t.Errorf("lots %+v, %v", lots, err)
	}
	if f.told("made") != 1 || f.told("given") != 1 {
		t.Error("the observer was not told")
	}

	// The same wallet is worth nothing to another account, on the next day neither.
	f.wantGiven(e, f.register(e, "eve", "eve@mail.test", ada), 0)
	f.pass(24 * time.Hour)
	if _, err := e.take(t.Context(), ada, day, 1_000); err != nil { // it is a guest's again
		t.Error(err)
	}
	f.wantGiven(e, f.register(e, "mallory", "mallory@mail.test", ada), 0)
	f.wantLeft(e, ada, day, 19_000)
}

// A request that finds the wallet full while it is merged gets nothing of it, also where the
// merge was bounded by the address and left some of the device's.
func TestTakeWhileMerging(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	narrow := guest.Allowance{Credits: creditcore.Credits(20), PerAddress: creditcore.Credits(22)}
	for _, w := range []guest.Wallet{ada, {Device: "neighbour", Network: ada.Network}} {
		if _, err := e.take(t.Context(), w, narrow, 8_000); err != nil {
			t.Fatal(err)
		}
	}
	roaming := guest.Wallet{Device: ada.Device, Network: bob.Network}
	taken := make(chan error, 1)
	err := dbscope.InTx(t.Context(), f.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		ctx := t.Context()
		if _, err := tx.Exec(ctx, `INSERT INTO auth.users (id, name, email) VALUES ('ada', '', 'ada@mail.test')`); err != nil {
			return err
		}
		if err := e.ledger.OpenTx(ctx, tx, "ada"); err != nil {
			return err
		}
		if err := e.PromiseTx(ctx, tx, "ada", ada); err != nil {
			return err
		}
		go func() {
			_, err := e.Take(ctx, roaming, narrow, 5_000)
			taken <- err
		}()
		for range 200 { // until it waits for the wallet
			var waits bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks AS w JOIN pg_locks AS h USING (pid)
				WHERE NOT w.granted AND h.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waits); err != nil || waits {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
		return errors.New("nothing waits for the wallet")
	})
	if err != nil {
		t.Fatal(err)
	}
	var spent *guest.SpentError
	if err := <-taken; !errors.As(err, &spent) || spent.Available != 0 {
		t.Errorf("taken while it was merged: %v", err)
	}
	f.wantLeft(e, bob, narrow, 20_000) // nothing is counted for the address
	f.wantGiven(e, "ada", 6_000)
}

// What an account is given counts for the address and all guests: signing up over and over
// is worth no more than being a guest.
func TestMergeWithinTheLimits(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	var sum creditcore.Amount
	for i := range 6 {
		w := guest.Wallet{Device: fmt.Sprint(i), Network: ada.Network}
		if _, err := e.take(t.Context(), w, day, 1_000); err != nil {
			break
		}
		id := f.register(e, w.Device, w.Device+"@mail.test", w)
		f.exec(`UPDATE auth.users SET email_verified = true WHERE id = $1`, id)
		given, err := e.Give(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		sum += given + 1_000
	}
	if sum != day.PerAddress {
		t.Errorf("one address had %s, want %s", sum, day.PerAddress)
	}
}

func TestMergeOncePerPerson(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	for _, w := range []guest.Wallet{ada, bob} {
		if _, err := e.take(t.Context(), w, day, 5_000); err != nil {
			t.Fatal(err)
		}
	}
	f.wantGiven(e, f.register(e, "ada", "ada@mail.test", ada), 15_000)
	f.wantGiven(e, f.register(e, "ada2", "ada+again@mail.test", bob), 0)
	if f.told("refused") != 1 {
		t.Error("the observer was not told")
	}
	// Of a promise that waits for who leaves, nothing stays.
	carol := guest.Wallet{Device: "carol", Network: "192.0.2.3"}
	if _, err := e.take(t.Context(), carol, day, 5_000); err != nil {
		t.Fatal(err)
	}
	id := f.register(e, "carol", "carol@mail.test", carol)
	if err := f.inTx(func(ctx context.Context, tx pgx.Tx) error { return e.EraseTx(ctx, tx, id) }); err != nil {
		t.Fatal(err)
	}
	f.wantGiven(e, id, 0)
}

// A wallet that was not used of late, or is spent, or none, gives nothing; one that was used
// the day before gives what it has today.
func TestMergeOfToday(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	f.wantGiven(e, f.register(e, "none", "none@mail.test", guest.Wallet{Network: ada.Network}), 0)
	f.wantGiven(e, f.register(e, "unused", "unused@mail.test", ada), 0)
	if _, err := e.take(t.Context(), ada, day, 20_000); err != nil {
		t.Fatal(err)
	}
	f.wantGiven(e, f.register(e, "spent", "spent@mail.test", ada), 0)
	f.pass(24 * time.Hour)
	f.wantGiven(e, f.register(e, "next", "next@mail.test", ada), 20_000)
	if _, err := e.take(t.Context(), bob, day, 1_000); err != nil {
		t.Fatal(err)
	}
	f.pass(4 * 24 * time.Hour)
	f.wantGiven(e, f.register(e, "old", "old@mail.test", bob), 0)
}

// A sign-up for an address that has an account spends the wallet as any other: what becomes
// of it, on that day and later, tells nobody who has an account.
func TestVoidTellsNothing(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	for _, w := range []guest.Wallet{ada, bob} {
		if _, err := e.take(t.Context(), w, day, 5_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.inTx(func(ctx context.Context, tx pgx.Tx) error { return e.VoidTx(ctx, tx, ada) }); err != nil {
		t.Fatal(err)
	}
	f.register(e, "bob", "bob@mail.test", bob)
	for _, w := range []guest.Wallet{ada, bob} {
		f.wantShort(e, w, guest.Allowance{Credits: day.Credits, PerAddress: day.PerAddress}, 1_000, 0, guest.LimitDevice)
		f.wantLeft(e, guest.Wallet{Network: w.Network}, guest.Allowance{Credits: day.PerAddress, PerAddress: day.PerAddress}, 30_000)
	}
	f.pass(24 * time.Hour)
	for _, w := range []guest.Wallet{ada, bob} {
		if _, err := e.take(t.Context(), w, day, 5_000); err != nil {
			t.Error(err)
		}
		f.wantGiven(e, f.register(e, w.Device+"2", w.Device+"2@mail.test", w), 0)
	}
}

// 32 sign-ups at once with one wallet, on two edges, from as many addresses, come to one
// promise; and as many proofs at once to one grant.
func TestMergeAtOnce(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	edges := []edge{f.edge(), f.edge()}
	if _, err := edges[0].take(t.Context(), ada, day, 5_000); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			w := guest.Wallet{Device: ada.Device, Network: fmt.Sprintf("192.0.2.%d", i)}
			f.register(edges[i%2], fmt.Sprint("user", i), fmt.Sprintf("user%d@mail.test", i), w)
		})
	}
	all.Wait()
	f.exec(`UPDATE auth.users SET email_verified = true`)
	for i := range 32 {
		for n := range 2 {
			all.Go(func() {
				if err := patient(func() error { _, err := edges[n].Give(t.Context(), fmt.Sprint("user", i)); return err }); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	var sum creditcore.Amount
	for i := range 32 {
		b, err := edges[0].ledger.BalanceOf(t.Context(), fmt.Sprint("user", i))
		if err != nil {
			t.Fatal(err)
		}
		sum += b.Available
	}
	if sum != 15_000 || f.told("made") != 1 || f.told("given") != 1 {
		t.Errorf("%s were given by %d promises", sum, f.told("made"))
	}
}

// What was promised is given by the rounds where its giving was interrupted.
func TestRoundsGive(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	if _, err := e.take(t.Context(), ada, day, 5_000); err != nil {
		t.Fatal(err)
	}
	id := f.register(e, "ada", "ada@mail.test", ada)
	f.exec(`UPDATE auth.users SET email_verified = true`)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for range 200 {
		if f.told("given") > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	f.wantBalance(e, id, 15_000)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// An account that cannot be given what it was promised holds up nobody else.
func TestOnePromiseHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	var ids []string
	for _, name := range []string{"stuck", "ada", "bob"} {
		wallet := guest.Wallet{Device: name, Network: "192.0.2." + fmt.Sprint(len(ids)+1)}
		if _, err := e.take(t.Context(), wallet, day, 5_000); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, f.register(e, name, name+"@mail.test", wallet))
	}
	f.exec(`UPDATE auth.users SET email_verified = true`)
	f.exec(`UPDATE credits.balances SET balance = 9223372036854775807, total_earned = 9223372036854775807 WHERE user_id = $1`, ids[0]) // no credit fits
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	err := e.Run(ctx)
	f.exec(`UPDATE credits.balances SET balance = 0, total_earned = 0 WHERE user_id = $1`, ids[0])
	if err == nil || !strings.Contains(err.Error(), ids[0]) {
		t.Errorf("the round: %v", err)
	}
	f.wantBalance(e, ids[1], 15_000)
	f.wantBalance(e, ids[2], 15_000)
}

// What is given is told once, in the transaction that gives it: where it cannot be
// recorded, nothing is given and nobody is told.
func TestGrantIsTold(t *testing.T) {
	t.Parallel()
	f := newFamily(t)
	e := f.edge()
	f.exec(`INSERT INTO mana.webhook_endpoints (id, url, secret) VALUES ('ep_1', 'https://hooks.example.test/', '\x00')`)
	if _, err := e.take(t.Context(), ada, day, 5_000); err != nil {
		t.Fatal(err)
	}
	id := f.register(e, "ada", "ada@mail.test", ada)
	told := func() string {
		t.Helper()
		r, err := dbscope.Row[struct{ Text string }](t.Context(), f.db.Pool, dbscope.System(),
			`SELECT coalesce(string_agg(subject || ' ' || (data ->> 'credits') || ' ' || (data ->> 'userId') || ' ' || (
				SELECT count(*) FROM credits.transactions AS n WHERE n.id = data ->> 'transactionId' AND n.user_id = subject), ', '), '') AS text
			 FROM mana.webhook_events WHERE type = 'guest.granted'`)
		if err != nil {
			t.Fatal(err)
		}
		return r.Text
	}
	f.exec(`UPDATE auth.users SET email_verified = true`)
	broken, recorded := errors.New("broken"), ""
	with := func(record func() error) *guest.Service {
		return guest.New(guest.Config{}, guest.Deps{
			Pool: f.db.Pool, Ledger: e.ledger, Coupons: e.coupons, Sealer: sealer("first"), Now: f.now,
			GrantedTx: func(_ context.Context, _ pgx.Tx, userID string, credits creditcore.Amount) error {
				recorded += userID + " " + credits.String()
				return record()
			},
		})
	}
	if given, err := with(func() error { return broken }).Give(t.Context(), id); !errors.Is(err, broken) || given != 0 || told() != "" {
		t.Errorf("given %s, told %q, %v", given, told(), err)
	}
	f.wantBalance(e, id, 0)
	recorded = ""
	for range 2 {
		if _, err := with(func() error { return nil }).Give(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	f.wantBalance(e, id, 15_000)
	if recorded != "ada 15" || told() != "ada 15 ada 1" {
		t.Errorf("recorded %q, told %q", recorded, told())
	}
}
