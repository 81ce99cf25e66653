package creditcore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

func day(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

// books are the lines of a period, and its days.
func (l *ledger) books(from, to string) (lines []creditcore.BookLine, days []creditcore.DayTotal) {
	l.t.Helper()
	err := l.Books(l.t.Context(), day(from), day(to), func(b creditcore.BookLine) error {
		lines = append(lines, b)
		return nil
	})
	if err == nil {
		err = l.DayTotals(l.t.Context(), day(from), day(to), func(d creditcore.DayTotal) error {
			days = append(days, d)
			return nil
		})
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return lines, days
}

// moved is what a line says that happened.
func moved(m creditcore.Movements) creditcore.Amount {
	return m.Purchases + m.Gifts + m.Refunds + m.Usage + m.Expiry + m.Adjustments
}

// Whatever happens to accounts, whenever, and though the clock of the database goes back
// now and then: every line adds up, opens with what the last one closed with, and the
// days are the sums of their lines.
func TestBooksAddUp(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	accounts := []string{l.user("alice", 1), l.user("bob", 1), l.user("carol", 1)}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 120 {
		account := accounts[random.IntN(len(accounts))]
		switch b := l.balance(account); {
		case b.Available < 100:
			l.grant(creditcore.Grant{UserID: account, Amount: creditcore.Amount(200 + random.IntN(900)), Type: []creditcore.EntryType{creditcore.Purchase, creditcore.Gift}[i%2], Source: creditcore.SourcePurchase})
		case i%3 == 0:
			r := l.spend(account, creditcore.Amount(1+random.IntN(90)))
			if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: account, Amount: 1, EntryID: r.Entry.ID}); err != nil {
				t.Fatal(err)
			}
		default:
			l.spend(account, creditcore.Amount(1+random.IntN(90)))
		}
	}
	// The rows of an account lie from the 1st of March on, three hours apart, with steps back over midnight.
	l.altered = true
	l.db.Tamper(t, `UPDATE credits.transactions AS t SET created_at = '2026-03-01T00:10:00Z'::timestamptz + (t.sequence - 1) * interval '3 hours'
		+ CASE WHEN t.sequence % 8 = 0 THEN interval '175 minutes' WHEN t.sequence % 8 = 1 AND t.sequence > 1 THEN interval '-15 minutes' ELSE '0' END`)

	lines, days := l.books("2026-03-01", "2026-03-11")
	closing, openings, sums := map[string]creditcore.Amount{}, map[string]int{}, map[time.Time]creditcore.Movements{}
	for _, b := range lines {
		if b.Opening+moved(b.Movements) != b.Closing || b.Opening != closing[b.Account] || b.Entries == 0 {
			t.Errorf("%s on %s does not add up, the last day closed with %s: %+v", b.Account, b.Day, closing[b.Account], b.Movements)
		}
		closing[b.Account] = b.Closing
		openings[b.Account]++
		s := sums[b.Day]
		s.Entries, s.Purchases, s.Gifts, s.Refunds, s.Usage = s.Entries+b.Entries, s.Purchases+b.Purchases, s.Gifts+b.Gifts, s.Refunds+b.Refunds, s.Usage+b.Usage
		sums[b.Day] = s
	}
	for _, account := range accounts {
		if b := l.balance(account); b.Available != closing[account] || openings[account] < 3 {
			t.Errorf("%s has %s, the books say %s on %d days", account, b.Available, closing[account], openings[account])
		}
	}
	if len(days) != 10 {
		t.Fatalf("%d days", len(days))
	}
	var last creditcore.Amount
	for _, d := range days {
		s := sums[d.Day]
		s.Opening, s.Closing = last, last+moved(s)
		if diff := cmp.Diff(s, d.Movements); diff != "" {
			t.Errorf("%s (-lines +day): %s", d.Day, diff)
		}
		last = d.Closing
	}
	// A part of it says the same of its days.
	part, some := l.books("2026-03-03", "2026-03-05")
	var want []creditcore.BookLine
	for _, b := range lines {
		if !b.Day.Before(day("2026-03-03")) && b.Day.Before(day("2026-03-05")) {
			want = append(want, b)
		}
	}
	if diff := cmp.Diff(want, part); diff != "" || len(want) == 0 {
		t.Errorf("the part differs: %s", diff)
	}
	if diff := cmp.Diff(days[2:4], some); diff != "" {
		t.Errorf("the days differ: %s", diff)
	}
}

func TestBooksOfBadPeriods(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, p := range [][2]string{{"2026-03-01", "2026-03-01"}, {"2026-03-02", "2026-03-01"}, {"2000-01-01", "2026-01-01"}} {
		if err := l.Books(t.Context(), day(p[0]), day(p[1]), nil); !errors.Is(err, creditcore.ErrPeriod) {
			t.Errorf("%v: %v", p, err)
		}
		if err := l.DayTotals(t.Context(), day(p[0]), day(p[1]), nil); !errors.Is(err, creditcore.ErrPeriod) {
			t.Errorf("%v: %v", p, err)
		}
	}
	alice := l.user("alice", 10)
	l.spend(alice, 1)
	stop := errors.New("stop")
	today := time.Now()
	if err := l.Books(t.Context(), today, today.AddDate(0, 0, 2), func(creditcore.BookLine) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the reader's error: %v", err)
	}
}

// What is left of paid credits is told with the money for it, whoever has them, and
// nothing of free ones.
func TestDeferredRevenue(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 5000), l.user("bob", 0)
	sale := func(id string, credits, cents int64) {
		l.exec(`INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, status, completed_at) VALUES ($1, 'alice', $2, $3, 'completed', now())`, id, credits, cents)
		l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Amount(credits), Type: creditcore.Purchase, Source: creditcore.SourcePurchase, Reference: "purchase:" + id})
	}
	sale("first", 100_000, 999)
	sale("second", 50_000, 500)
	l.spend(alice, 5000+40_000) // all that was free, and of the first purchase
	deferred := func() (list []string) {
		t.Helper()
		err := l.DeferredRevenue(t.Context(), func(d creditcore.Deferred) error {
			list = append(list, fmt.Sprint(d.Account, " ", d.Sale, " ", d.Left, "/", d.Sold, " ", d.MilliCents))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	want := func(list ...string) {
		t.Helper()
		if diff := cmp.Diff(list, deferred()); diff != "" {
			t.Error(diff)
		}
	}
	want("alice first 60/100 599400", "alice second 50/50 500000")

	// A gift of 30 takes of the first; 10 of it are redeemed.
	var gift creditcore.Receipt
	err := dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) (err error) {
		gift, err = l.ReserveTx(t.Context(), tx, creditcore.Debit{UserID: alice, Amount: 30_000, Type: creditcore.Gift, AppID: "gift"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want("alice first 30/100 299700", "alice first 30/100 299700", "alice second 50/50 500000")
	l.grant(creditcore.Grant{UserID: bob, Amount: 10_000, Gift: gift.Entry.ID, Reference: "gift:1"})
	want("alice first 30/100 299700", "alice first 20/100 199800", "alice second 50/50 500000", "bob first 10/100 99900")

	// Half of the second was paid back, and its credits taken.
	l.exec(`UPDATE credits.purchases SET reversed_euro_cents = 250, reversed_credits = 25000, clawed_back = 25000 WHERE id = 'second'`)
	l.clawback(creditcore.Clawback{UserID: alice, Reference: "purchase:second", Amount: 25_000, InternalKey: "half"})
	want("alice first 30/100 299700", "alice first 20/100 199800", "alice second 25/25 250000", "bob first 10/100 99900")

	// A year in advance: a month that was granted, and eleven to come.
	l.exec(`INSERT INTO subscriptions.plans (id, name) VALUES ('plan', 'Plan')`)
	l.exec(`INSERT INTO subscriptions.invoices (id, user_id, stripe_invoice_id, status, amount_due_euro_cents, amount_paid_euro_cents, paid_at) VALUES ('i', 'bob', 'in_1', 'paid', 12000, 12000, now())`)
	for month := range 12 {
		granted := any(nil)
		if month == 0 {
			granted = 10_000
			l.grant(creditcore.Grant{UserID: bob, Amount: 10_000, Type: creditcore.Purchase, Source: creditcore.SourceSubscription, Reference: "invoice:in_1:m0", ExpiresAt: in(time.Hour), Priority: -1})
		}
		l.exec(`INSERT INTO subscriptions.allotments (id, user_id, invoice_id, stripe_subscription_id, stripe_price_id, plan_id, line_id, line_starts_at, starts_at, ends_at, credits, granted, granted_at)
			VALUES ('m' || $1::int, 'bob', 'i', 'sub', 'price', 'plan', 'line', now(), now() + make_interval(months => $1::int), now() + make_interval(months => $1::int + 1), 10000, $2::bigint, CASE WHEN $2::bigint IS NOT NULL THEN now() END)`, month, granted)
	}
	l.spend(bob, 2500)
	list := deferred()
	if len(list) != 4+12 || list[4] != "bob in_1 7.5/10 750000" && list[5] != "bob in_1 7.5/10 750000" || list[15] != "bob in_1 10/10 1000000" {
		t.Errorf("with a subscription: %q", list)
	}
}
