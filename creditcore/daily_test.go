package creditcore_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// verified makes a user whose address is proven.
func (l *ledger) verified(id string) string {
	l.t.Helper()
	user := l.user(id, 0)
	l.exec(`UPDATE auth.users SET email_verified = true WHERE id = $1`, user)
	return user
}

func (l *ledger) withDaily(daily creditcore.Amount) *creditcore.Service {
	return creditcore.New(creditcore.Config{Daily: daily}, creditcore.Deps{Pool: l.db.Pool})
}

// awayFromMidnight waits where the day is about to end.
func awayFromMidnight() {
	for now := time.Now().UTC(); now.Hour() == 23 && now.Minute() == 59; now = time.Now().UTC() {
		time.Sleep(time.Second)
	}
}

// Whatever asks for an account first, and on how many edges at once, its credits of the
// day are given once, and spent before others.
func TestCreditsOfTheDay(t *testing.T) {
	t.Parallel()
	awayFromMidnight()
	l := newLedger(t)
	edges := []*creditcore.Service{l.withDaily(creditcore.Credits(20)), l.withDaily(creditcore.Credits(20))}
	for name, ask := range map[string]func(edge *creditcore.Service, user string) error{
		"debits": func(edge *creditcore.Service, user string) error {
			return second(edge.Debit(t.Context(), creditcore.Debit{UserID: user, Amount: creditcore.Credit, AppID: "app"}))
		},
		"holds": func(edge *creditcore.Service, user string) error {
			return second(edge.Hold(t.Context(), creditcore.Hold{UserID: user, Amount: creditcore.Credit, AppID: "app"}))
		},
	} {
		user := l.verified(name)
		var passed, refused atomic.Int64
		concurrently(64, func(i int) {
			switch err := patiently(func() error { return ask(edges[i%2], user) }); {
			case err == nil:
				passed.Add(1)
			case short(err):
				refused.Add(1)
			default:
				t.Errorf("%s: %v", name, err)
			}
		})
		if passed.Load() != 20 || refused.Load() != 44 {
			t.Errorf("%s: %d passed, %d refused", name, passed.Load(), refused.Load())
		}
	}
	reader := l.verified("reader")
	for _, edge := range edges {
		if b, err := edge.BalanceOf(t.Context(), reader); err != nil || b.Available != creditcore.Credits(20) {
			t.Errorf("%+v, %v", b, err)
		}
	}
	l.grant(creditcore.Grant{UserID: reader, Amount: creditcore.Credits(5), Type: creditcore.Purchase, Source: creditcore.SourcePurchase})
	if _, err := edges[0].Debit(t.Context(), creditcore.Debit{UserID: reader, Amount: creditcore.Credits(3), AppID: "app"}); err != nil {
		t.Fatal(err)
	}
	page, err := edges[0].History(t.Context(), creditcore.Caller{UserID: reader}, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	first := page[len(page)-1]
	if first.Type != creditcore.Gift || first.Amount != creditcore.Credits(20) || first.Description != "Free credits of the day" {
		t.Errorf("the row says %+v", first)
	}
	l.exec(`SELECT `+functions.Schema+`.burn($1) FROM (SELECT `+functions.Schema+`.account($1)) AS locked`, reader)
	lots, err := dbscope.Rows[struct {
		Source    string
		Remaining int64
		Midnight  bool
	}](t.Context(), l.db.Pool, dbscope.System(),
		`SELECT l.source, l.remaining, coalesce(l.expires_at = (date_trunc('day', l.created_at AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC', false) AS midnight
		 FROM credits.lots AS l WHERE l.user_id = $1 ORDER BY l.source`, reader)
	if got := fmt.Sprint(lots); err != nil || got != "[{promotion 17000 true} {purchase 5000 false}]" {
		t.Errorf("lots %s, %v", got, err)
	}
}

// An unverified address, a disabled account and an organisation have none; an address that
// is proven has them from then on.
func TestWhoHasCreditsOfTheDay(t *testing.T) {
	t.Parallel()
	awayFromMidnight()
	l := newLedger(t)
	s := l.withDaily(creditcore.Credits(20))
	open, disabled := l.user("open", 0), l.verified("disabled")
	l.exec(`UPDATE auth.users SET disabled_at = now() WHERE id = 'disabled'`)
	l.organization("acme", creditcore.Credits(1))
	for account, want := range map[string]creditcore.Amount{open: 0, disabled: 0, creditcore.OrganizationAccount("acme"): creditcore.Credits(1)} {
		if b, err := s.BalanceOf(t.Context(), account); err != nil || b.Available != want {
			t.Errorf("%s: %+v, %v", account, b, err)
		}
	}
	if _, err := s.BalanceOf(t.Context(), "nobody"); err != creditcore.ErrAccountNotFound {
		t.Errorf("nobody: %v", err)
	}
	l.exec(`UPDATE auth.users SET email_verified = true WHERE id = 'open'`)
	if b, err := l.withDaily(creditcore.Credits(20)).BalanceOf(t.Context(), open); err != nil || b.Available != creditcore.Credits(20) {
		t.Errorf("proven: %+v, %v", b, err)
	}
}

// The next day brings new ones, and nothing of the old.
func TestCreditsOfTheNextDay(t *testing.T) {
	t.Parallel()
	awayFromMidnight()
	l := newLedger(t)
	user := l.verified("ada")
	yesterday := l.withDaily(creditcore.Credits(20))
	if _, err := yesterday.Debit(t.Context(), creditcore.Debit{UserID: user, Amount: creditcore.Credits(3), AppID: "app"}); err != nil {
		t.Fatal(err)
	}
	l.altered = true
	l.db.Tamper(t, `UPDATE credits.transactions SET internal_key = 'daily:ada:2000-01-01' WHERE internal_key IS NOT NULL`)
	l.db.Tamper(t, `UPDATE credits.lots SET expires_at = now() - interval '1 second'`)
	l.db.Tamper(t, `UPDATE credits.balances SET next_expiry = now() - interval '1 second'`)
	if b, err := yesterday.BalanceOf(t.Context(), user); err != nil || b.Available != 0 {
		t.Errorf("an edge that believes to have given today's: %+v, %v", b, err)
	}
	today := l.withDaily(creditcore.Credits(20))
	if b, err := today.BalanceOf(t.Context(), user); err != nil || b.Available != creditcore.Credits(20) {
		t.Errorf("%+v, %v", b, err)
	}
	far, relay, stop := l.afar(creditcore.Config{Daily: creditcore.Credits(20)})
	defer stop()
	relay.Cut(true)
	if _, err := far.BalanceOf(t.Context(), user); !errors.Is(err, creditcore.ErrUnavailable) {
		t.Errorf("a balance without the database: %v", err)
	}
}

// A lease takes the credits of the day as it takes others.
func TestCreditsOfTheDayUnderALease(t *testing.T) {
	t.Parallel()
	awayFromMidnight()
	l := newLedger(t)
	user := l.verified("ada")
	e, stop := l.edge(creditcore.Config{Daily: creditcore.Credits(20), LeaseIdle: time.Hour})
	leased := 0
	for passed := 0; passed < 20 && leased == 0; passed++ {
		of, err := retried(func() (bool, error) { return e.charge(user, creditcore.Credit/2, true) })
		if err != nil {
			t.Fatal(err)
		}
		if of {
			leased++
		}
		time.Sleep(30 * time.Millisecond)
	}
	for {
		_, err := retried(func() (bool, error) { return e.charge(user, creditcore.Credit/2, true) })
		if short(err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if l.wantAvailable(user, 0); leased == 0 {
		t.Error("nothing was leased")
	}
	if b, err := l.BalanceOf(t.Context(), user); err != nil || b.TotalSpent != creditcore.Credits(20) {
		t.Errorf("%+v, %v", b, err)
	}
}
