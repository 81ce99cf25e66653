package creditcore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// book is a ledger whose config has two prices.
func book(t *testing.T) *ledger {
	l := newLedger(t)
	l.Service = l.priced()
	return l
}

// priced is another process on the ledger of a book.
func (l *ledger) priced() *creditcore.Service {
	return creditcore.New(creditcore.Config{Prices: creditcore.NewPrices(
		creditcore.Price{Name: "chat", Credits: 5000, Per: 1}, creditcore.Price{Name: "token", Credits: 2, Per: 1000, Unit: "tokens"},
	)}, creditcore.Deps{Pool: l.db.Pool})
}

func (l *ledger) publish(d creditcore.PriceDraft) (v creditcore.PriceVersion, err error) {
	l.t.Helper()
	if d.Reason == "" {
		d.Reason, d.By = "because", "cli:test"
	}
	err = dbscope.InTx(l.t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		v, err = l.PublishPricesTx(l.t.Context(), tx, d)
		return err
	})
	return v, err
}

func (l *ledger) withdraw(version int64) error {
	return dbscope.InTx(l.t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		return l.WithdrawPricesTx(l.t.Context(), tx, version, "cli:test", "a mistake")
	})
}

// databaseTime is the time by the clock that decides.
func (l *ledger) databaseTime() time.Time {
	l.t.Helper()
	at, err := dbscope.Row[struct{ At time.Time }](l.t.Context(), l.db.Pool, dbscope.System(), `SELECT clock_timestamp() AS at`)
	if err != nil {
		l.t.Fatal(err)
	}
	return at.At
}

func priceOf(t *testing.T, s *creditcore.Service, name string) creditcore.Price {
	t.Helper()
	p, err := s.Prices().Named(name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return p
}

func chat(credits creditcore.Amount) creditcore.Prices {
	return creditcore.NewPrices(creditcore.Price{Name: "chat", Credits: credits, Per: 1})
}

// A version is in force on every edge that has read the book, over the prices of the config;
// one to come is from its moment on, by itself.
func TestPriceBook(t *testing.T) {
	t.Parallel()
	l := book(t)
	other := l.priced()
	load := func(list ...*creditcore.Service) {
		t.Helper()
		for _, s := range list {
			if err := s.LoadPrices(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	load(l.Service, other)
	if prices, version := l.PriceBook(); version != 0 || len(prices.All()) != 0 || l.Prices() != l.ConfigPrices() || priceOf(t, l.Service, "chat").Credits != 5000 {
		t.Errorf("without a version: %d, %v", version, prices.All())
	}
	first, err := l.publish(creditcore.PriceDraft{Prices: creditcore.NewPrices(creditcore.Price{Name: "chat", Credits: 7000, Per: 1}, creditcore.Price{Name: "film", Credits: 1, Per: 2, Unit: "s"})})
	if err != nil || first.Version != 1 || first.State != creditcore.PricesInForce || first.EffectiveAt != first.PublishedAt {
		t.Fatalf("%+v, %v", first, err)
	}
	if priceOf(t, other, "chat").Credits != 5000 {
		t.Error("in force before it was read")
	}
	load(l.Service, other)
	for _, s := range []*creditcore.Service{l.Service, other} {
		if diff := cmp.Diff([]creditcore.Price{
			{Name: "chat", Credits: 7000, Per: 1, Version: 1}, {Name: "film", Credits: 1, Per: 2, Unit: "s", Version: 1}, {Name: "token", Credits: 2, Per: 1000, Unit: "tokens"},
		}, s.Prices().All()); diff != "" {
			t.Error(diff)
		}
	}
	before := l.Prices()
	load(l.Service)
	if _, version := l.PriceBook(); version != 1 || l.Prices() != before {
		t.Error("a version that was read again is another one")
	}

	at := l.databaseTime().Add(1500 * time.Millisecond)
	if v, err := l.publish(creditcore.PriceDraft{Prices: chat(8000), EffectiveAt: at, After: 1}); err != nil || v.State != creditcore.PricesToCome {
		t.Fatalf("%+v, %v", v, err)
	}
	load(l.Service, other)
	fresh := l.priced()
	for {
		before := l.databaseTime()
		load(fresh) // on whichever side of the moment
		prices := []creditcore.Amount{priceOf(t, l.Service, "chat").Credits, priceOf(t, other, "chat").Credits, priceOf(t, fresh, "chat").Credits}
		after := l.databaseTime()
		for _, p := range prices {
			if p == 8000 && after.Before(at) || p == 7000 && before.After(at.Add(time.Second)) {
				t.Fatalf("%s at %v, which is in force from %v", p, before, at)
			}
		}
		if before.After(at.Add(200 * time.Millisecond)) {
			break
		}
	}
	for _, s := range []*creditcore.Service{l.Service, other, fresh} {
		if _, err := s.Prices().Named("film"); priceOf(t, s, "chat").Version != 2 || err == nil {
			t.Error("a version is more than it has")
		}
	}
}

// What was published stays, whoever asks; only what is to come can be withdrawn, once.
func TestPriceVersionsStay(t *testing.T) {
	t.Parallel()
	l := book(t)
	must := func(d creditcore.PriceDraft) {
		t.Helper()
		if _, err := l.publish(d); err != nil {
			t.Fatal(err)
		}
	}
	later := l.databaseTime().Add(time.Hour)
	must(creditcore.PriceDraft{Prices: chat(6000)})
	must(creditcore.PriceDraft{Prices: chat(7000), EffectiveAt: later, After: 1})
	must(creditcore.PriceDraft{Prices: chat(8000), EffectiveAt: later, After: 2})
	must(creditcore.PriceDraft{Prices: chat(9000), After: 3})
	for name, row := range map[string]struct {
		draft creditcore.PriceDraft
		err   error
	}{
		"of a book that has changed": {creditcore.PriceDraft{Prices: chat(1), After: 3}, creditcore.ErrPriceBookChanged},
		"ahead of the book":          {creditcore.PriceDraft{Prices: chat(1), After: 5}, creditcore.ErrPriceBookChanged},
		"of the last":                {creditcore.PriceDraft{Prices: chat(1), After: math.MaxInt64}, creditcore.ErrPriceBookChanged},
		"in the past":                {creditcore.PriceDraft{Prices: chat(1), After: 4, EffectiveAt: later.Add(-2 * time.Hour)}, creditcore.ErrPricesPast},
		"of nothing":                 {creditcore.PriceDraft{After: 4}, creditcore.ErrInvalid},
	} {
		if _, err := l.publish(row.draft); !errors.Is(err, row.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var missing *creditcore.MissingPricesError
	if _, err := l.publish(creditcore.PriceDraft{Prices: chat(1), After: 4, Named: []string{"chat", "film", "token", "song"}}); !errors.As(err, &missing) || cmp.Diff([]string{"film", "song"}, missing.Names) != "" {
		t.Errorf("without prices of routes: %v", err)
	}
	states := func() (all string) {
		t.Helper()
		list, err := l.PriceVersions(t.Context(), math.MaxInt64, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			all += fmt.Sprint(v.Version, " ", v.State, " ", v.Prices, ";")
		}
		return strings.ReplaceAll(all, "\n", "")
	}
	want := "4 in_force chat 9;3 to_come chat 8;2 to_come chat 7;1 replaced chat 6;"
	if got := states(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if list, err := l.PriceVersions(t.Context(), 3, 1); err != nil || len(list) != 1 || list[0].Version != 2 || list[0].Reason != "because" || list[0].PublishedBy != "cli:test" {
		t.Errorf("a page: %+v, %v", list, err)
	}
	if last, err := l.LastPriceVersion(t.Context()); last != 4 || err != nil {
		t.Errorf("the last: %d, %v", last, err)
	}
	for _, version := range []int64{0, 1, 4, 5} {
		if err := l.withdraw(version); !errors.Is(err, creditcore.ErrPriceVersionBound) {
			t.Errorf("withdraw %d: %v", version, err)
		}
	}
	if err := l.withdraw(3); err != nil {
		t.Fatal(err)
	}
	if err := l.withdraw(3); !errors.Is(err, creditcore.ErrPriceVersionBound) {
		t.Errorf("twice: %v", err)
	}
	for _, sql := range []string{
		`UPDATE credits.price_versions SET prices = '[{"name":"chat","credits":1,"per":1,"unit":""}]' WHERE version = 2`,
		`UPDATE credits.price_versions SET effective_at = effective_at + interval '1 day' WHERE version = 2`,
		`UPDATE credits.price_versions SET reason = 'another', withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'x' WHERE version = 2`,
		`UPDATE credits.price_versions SET withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'x' WHERE version = 1`,
		`UPDATE credits.price_versions SET withdrawn_at = NULL, withdrawn_by = NULL, withdrawal_reason = NULL WHERE version = 3`,
		`UPDATE credits.price_versions SET version = 9 WHERE version = 2`,
	} {
		if _, err := dbscope.Exec(t.Context(), l.db.Pool, dbscope.System(), sql); err == nil || !strings.Contains(err.Error(), "append-only") && !strings.Contains(err.Error(), "check constraint") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{`DELETE FROM credits.price_versions`, `TRUNCATE credits.price_versions`} {
		if _, err := dbscope.Exec(t.Context(), l.db.Pool, dbscope.System(), sql); err == nil {
			t.Errorf("%s is done", sql)
		}
	}
	if got, want := states(), "4 in_force chat 9;3 withdrawn chat 8;2 to_come chat 7;1 replaced chat 6;"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Of many that publish at once one does, and the others learn that they did not see it.
func TestPublishingAtOnce(t *testing.T) {
	t.Parallel()
	l := book(t)
	var published, changed atomic.Int64
	concurrently(8, func(i int) {
		switch _, err := l.publish(creditcore.PriceDraft{Prices: chat(creditcore.Amount(1000 + i))}); {
		case err == nil:
			published.Add(1)
		case errors.Is(err, creditcore.ErrPriceBookChanged):
			changed.Add(1)
		default:
			t.Error(err)
		}
	})
	if published.Load() != 1 || changed.Load() != 7 {
		t.Errorf("%d published, %d changed", published.Load(), changed.Load())
	}
}

// A version of another program that has more in it than this one knows is not charged by: what
// was in force stays.
func TestPricesOfAnotherProgram(t *testing.T) {
	t.Parallel()
	l := book(t)
	for i, prices := range []string{`[{"name":"chat","credits":1,"per":1,"unit":"","steps":[]}]`, `[{"name":"chat","credits":1,"per":1,"unit":"","tiers":[{"above":5,"credits":1},{"above":5,"credits":2}]}]`, `[{"name":"chat","credits":1,"per":1,"unit":"","plans":[{"plan":"pro","credits":0}]}]`, `[{"name":"chat","credits":0,"per":1,"unit":""}]`, `[{"name":"chat","credits":-1,"per":1,"unit":""}]`, `[{"name":"chat","credits":1,"per":0,"unit":""}]`, `["chat"]`} {
		l.exec(`INSERT INTO credits.price_versions (version, prices, effective_at, reason, published_by) VALUES ($1, $2, now(), 'x', 'x')`, i+1, prices)
		if err := l.LoadPrices(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprint("version ", i+1)) || priceOf(t, l.Service, "chat").Credits != 5000 {
			t.Errorf("%s: %v", prices, err)
		}
	}
	for _, prices := range []string{`[]`, `{}`, `null`, `1`} {
		if _, err := dbscope.Exec(t.Context(), l.db.Pool, dbscope.System(),
			`INSERT INTO credits.price_versions (version, prices, effective_at, reason, published_by) VALUES (99, $1, now(), 'x', 'x')`, prices); err == nil {
			t.Errorf("%s is taken", prices)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.LoadPrices(ctx); err == nil {
		t.Error("nothing was read, and nothing is wrong")
	}
}

// A charge, or a hold, that comes again under its key is what it was, though its price has
// changed; anything else under the key is refused as ever.
func TestKeysOutliveTheirPrices(t *testing.T) {
	t.Parallel()
	l := book(t)
	ada := l.user("ada", 100*creditcore.Credit)
	by := func(amount creditcore.Amount, metadata string) creditcore.Debit {
		return creditcore.Debit{UserID: ada, Amount: amount, Key: "k", Price: "chat", Metadata: json.RawMessage(metadata)}
	}
	made, err := l.debit(by(5000, `{"price":"chat","quantity":1,"a":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []creditcore.Debit{by(7000, `{"quantity":1,"price":"chat","priceVersion":1,"a":[1]}`), by(5000, `{"price":"chat","quantity":1,"a":[1]}`), by(5000, `{"price":"chat","quantity":1,"priceVersion":3,"a":[1]}`)} {
		again, err := l.debit(d)
		if err != nil || !again.Replayed || again.Entry.ID != made.Entry.ID || again.Entry.Amount != -5000 {
			t.Errorf("%s: %+v, %v", d.Metadata, again, err)
		}
	}
	plain := by(7000, `{"price":"chat","quantity":1,"a":[1]}`)
	plain.Price = ""
	other := by(7000, `{"price":"film","quantity":1,"a":[1]}`)
	other.Price = "film"
	for name, d := range map[string]creditcore.Debit{
		"another quantity": by(10_000, `{"price":"chat","quantity":2,"a":[1]}`), "other metadata": by(7000, `{"price":"chat","quantity":1,"a":[2]}`),
		"an amount": plain, "another price": other,
	} {
		if _, err := l.debit(d); !errors.Is(err, creditcore.ErrKeyReused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.wantAvailable(ada, 95*creditcore.Credit)

	hold := func(amount creditcore.Amount, price, request string) (creditcore.Held, error) {
		return l.Hold(t.Context(), creditcore.Hold{UserID: ada, Amount: amount, AppID: "app", Key: "h", Request: request, Price: price, Metadata: json.RawMessage(`{"price":"` + price + `"}`)})
	}
	held, err := hold(5000, "chat", "GET /")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := hold(7000, "chat", "GET /"); err != nil || !again.Replayed || again.ID != held.ID || again.Amount != 5000 {
		t.Errorf("joined: %+v, %v", again, err)
	}
	for name, err := range map[string]error{
		"another request": func() error { _, err := hold(7000, "chat", "GET /x"); return err }(),
		"another price":   func() error { _, err := hold(7000, "film", "GET /"); return err }(),
	} {
		if !errors.Is(err, creditcore.ErrKeyReused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		if _, err := l.Release(t.Context(), held.ID); err != nil {
			t.Fatal(err)
		}
	}
	l.wantAvailable(ada, 95*creditcore.Credit)
}
