package creditcore_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// alerts are the kinds of an account's alerts, with their numbers but for those of who
// and which; the oldest first.
func (l *ledger) alerts(account string) (list []string) {
	l.t.Helper()
	rows, err := dbscope.Rows[struct{ Kind, Data string }](l.t.Context(), l.db.Pool, dbscope.System(),
		`SELECT l.kind, (l.data - 'accountId' - 'transactionId' - 'debtId' - 'subscriptionId' - 'keyId' - 'expiresAt' - 'reference')::text AS data
		 FROM credits.alerts AS l WHERE l.account_id = $1 ORDER BY l.created_at, l.id`, account)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range rows {
		list = append(list, r.Kind+" "+r.Data)
	}
	return list
}

func (l *ledger) wantAlerts(account string, want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.alerts(account)); diff != "" {
		l.t.Errorf("alerts of %s:\n%s", account, diff)
	}
}

// tellBelow sets the account's own threshold.
func (l *ledger) tellBelow(user string, threshold creditcore.Amount) {
	l.t.Helper()
	if err := l.SetLowBalance(l.t.Context(), creditcore.Caller{UserID: user}, &threshold); err != nil {
		l.t.Fatal(err)
	}
}

// later lets that much time go by since the last alert of an account.
func (l *ledger) later(user string, d time.Duration) {
	l.t.Helper()
	l.exec(`UPDATE credits.balances SET alerted_at = alerted_at - $2::interval WHERE user_id = $1`, user, d)
}

// 64 debits at once over two edges cross the threshold: one alert for a dip, however
// deep it gets. It is armed again when what comes in reaches the threshold.
func TestLowBalanceIsToldOncePerDip(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	edges := []*creditcore.Service{l.Service, creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: l.db.Pool})}
	alice := l.user("alice", creditcore.Credits(100))
	l.tellBelow(alice, creditcore.Credits(50))
	dip := func() {
		t.Helper()
		concurrently(64, func(i int) {
			debit := creditcore.Debit{UserID: alice, Amount: creditcore.Credit, AppID: "app", Key: unique()}
			if err := patiently(func() error { return second(edges[i%2].Debit(t.Context(), debit)) }); err != nil {
				t.Error(err)
			}
		})
	}
	dip()
	if got := l.alerts(alice); len(got) != 1 || !strings.HasPrefix(got[0], "low ") || !strings.Contains(got[0], `"threshold": 50`) {
		t.Fatalf("alerts after the first dip: %q", got)
	}
	l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credits(13)}) // 49: still in the dip
	l.spend(alice, creditcore.Credit)
	if got := l.alerts(alice); len(got) != 1 {
		t.Errorf("alerts after a grant that is too small: %q", got)
	}
	l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credits(52)}) // 100
	if got := l.alerts(alice); len(got) != 1 {
		t.Errorf("alerts after the dip has ended: %q", got)
	}
	dip()
	if got := l.alerts(alice); len(got) != 2 {
		t.Errorf("alerts after the second dip: %q", got)
	}
}

// An account without a threshold has that of the connection; one of its own counts
// more, and 0 is none.
func TestLowBalanceOfTheConnection(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	config, err := pgxpool.ParseConfig(l.db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	dbscope.Prepare(config.ConnConfig, dbscope.RequestLimits, dbscope.Setting{Name: creditcore.LowBalanceSetting, Value: "10000"})
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	set := creditcore.New(creditcore.Config{LowBalance: creditcore.Credits(10)}, creditcore.Deps{Pool: pool})
	spend := func(s *creditcore.Service, user string, credits int64) {
		t.Helper()
		if _, err := s.Debit(t.Context(), creditcore.Debit{UserID: user, Amount: creditcore.Credits(credits), AppID: "app"}); err != nil {
			t.Fatal(err)
		}
	}
	alice, bob, cyd := l.user("alice", creditcore.Credits(12)), l.user("bob", creditcore.Credits(12)), l.user("cyd", creditcore.Credits(12))
	l.tellBelow(bob, creditcore.Credits(5))
	l.tellBelow(cyd, 0)
	spend(l.Service, alice, 3) // by a connection that has none
	l.wantAlerts(alice)
	for _, user := range []string{alice, bob, cyd} {
		spend(set, user, 3)
	}
	l.wantAlerts(alice, `low {"balance": 6, "threshold": 10}`)
	l.wantAlerts(bob)
	for _, user := range []string{alice, bob, cyd} {
		spend(set, user, 5)
	}
	l.wantAlerts(alice, `low {"balance": 6, "threshold": 10}`)
	l.wantAlerts(bob, `low {"balance": 4, "threshold": 5}`)
	l.wantAlerts(cyd)
	got, err := set.AlertSettings(t.Context(), creditcore.Caller{UserID: alice})
	if err != nil || got.LowBalance != nil || got.Default == nil || *got.Default != creditcore.Credits(10) {
		t.Errorf("settings: %+v, %v", got, err)
	}
}

// A request that is charged and given back at the threshold tells of one dip, for an
// hour; then what comes back ends it as well.
func TestWhatComesBackEndsNoDip(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(12))
	l.tellBelow(alice, creditcore.Credits(10))
	try := func() {
		t.Helper()
		if _, err := l.Compensate(t.Context(), l.spend(alice, creditcore.Credits(5))); err != nil {
			t.Fatal(err)
		}
		l.wantAvailable(alice, creditcore.Credits(12))
	}
	for range 3 {
		try()
	}
	l.wantAlerts(alice, `low {"balance": 7, "threshold": 10}`)
	l.later(alice, 61*time.Minute)
	try() // ends the dip
	try()
	l.wantAlerts(alice, `low {"balance": 7, "threshold": 10}`, `low {"balance": 7, "threshold": 10}`)
}

// A price that the balance does not cover is told of once, whatever asks for it: until
// there is enough, or something comes in a day later. What is reserved meanwhile is no
// reason, and who never had credits has not run out of them.
func TestExhaustedIsToldOncePerDip(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(3))
	ask := func(user string, credits int64) {
		t.Helper()
		amount := creditcore.Credits(credits)
		if _, err := l.debit(creditcore.Debit{UserID: user, Amount: amount}); !short(err) {
			t.Errorf("debit: %v", err)
		}
		if _, err := l.Hold(t.Context(), creditcore.Hold{UserID: user, Amount: amount}); !short(err) {
			t.Errorf("hold: %v", err)
		}
		if _, err := l.Hold(t.Context(), creditcore.Hold{UserID: user, Amount: amount, APIKey: l.apiKey(user, 0, "")}); !short(err) {
			t.Errorf("hold by a key: %v", err)
		}
	}
	h := l.hold(creditcore.Hold{UserID: alice, Amount: creditcore.Credits(2)})
	ask(alice, 2) // 1 is available of 3
	l.wantAlerts(alice)
	if _, err := l.Release(t.Context(), h.ID); err != nil {
		t.Fatal(err)
	}
	concurrently(16, func(int) { ask(alice, 5) })
	told := []string{`exhausted {"balance": 3, "required": 5}`}
	l.wantAlerts(alice, told...)
	l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credit}) // 4
	ask(alice, 5)
	l.wantAlerts(alice, told...)
	l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credit}) // 5
	ask(alice, 6)
	told = append(told, `exhausted {"balance": 5, "required": 6}`)
	l.wantAlerts(alice, told...)
	l.later(alice, 25*time.Hour)
	ask(alice, 6) // time alone arms nothing
	l.grant(creditcore.Grant{UserID: alice, Amount: 500})
	ask(alice, 6)
	l.wantAlerts(alice, append(told, `exhausted {"balance": 5.5, "required": 6}`)...)

	bob := l.user("bob", 0)
	ask(bob, 1)
	l.wantAlerts(bob)
}

// A stream whose hold cannot be extended has run out.
func TestExhaustedByAnExtension(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(10))
	h := l.hold(creditcore.Hold{UserID: alice, Amount: creditcore.Credits(8)})
	if _, _, err := l.Extend(t.Context(), h, creditcore.Credits(3)); !short(err) {
		t.Fatalf("extended: %v", err)
	}
	l.wantAlerts(alice, `exhausted {"balance": 10, "required": 3}`)
}

// A budget that does not cover a charge is told to whom it binds: once in its period, and
// again when it was made another.
func TestBudgetIsToldOncePerPeriod(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(100))
	key := l.apiKey(alice, creditcore.Credits(5), "day")
	ask := func() {
		t.Helper()
		concurrently(8, func(i int) {
			err := patiently(func() error {
				if i%2 == 0 {
					return second(l.debit(creditcore.Debit{UserID: alice, Amount: creditcore.Credits(6), APIKey: key}))
				}
				return second(l.Hold(t.Context(), creditcore.Hold{UserID: alice, Amount: creditcore.Credits(6), APIKey: key}))
			})
			if !short(err) {
				t.Error(err)
			}
		})
	}
	ask()
	told := `budget {"budget": 5, "period": "day", "userId": "alice"}`
	l.wantAlerts(alice, told)
	ask()
	l.wantAlerts(alice, told)
	l.exec(`UPDATE credits.alerts SET name = replace(name, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '2000-01-01')`) // a day that has gone by
	ask()
	l.wantAlerts(alice, told, told)
	l.exec(`UPDATE auth.api_keys SET budget_credits = 5500 WHERE id = $1`, key)
	ask()
	l.wantAlerts(alice, told, told, `budget {"budget": 5.5, "period": "day", "userId": "alice"}`)

	acme := l.organization("acme", creditcore.Credits(100))
	account := creditcore.OrganizationAccount(acme)
	spend := func() {
		t.Helper()
		if _, err := l.debit(creditcore.Debit{UserID: "acme-member", Organization: acme, Amount: creditcore.Credits(3)}); !short(err) {
			t.Error(err)
		}
	}
	spend() // nothing is allotted, so nothing is spent
	bought := `purchased {"credits": 100}`
	l.wantAlerts(account, bought)
	l.allot(acme, "acme-member", creditcore.Credits(2), creditcore.InTotal)
	spend()
	spend()
	l.wantAlerts(account, bought, `budget {"budget": 2, "period": "total", "userId": "acme-member"}`)
	seen := func(user string) int {
		t.Helper()
		list, err := l.Alerts(t.Context(), of(acme, user), 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	about := func(user string) int {
		t.Helper()
		list, err := l.AlertsAbout(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if o, m, a := about("acme-owner"), about("acme-member"), about("alice"); o != 0 || m != 1 || a != 3 {
		t.Errorf("about the owner are %d, the member %d, alice %d alerts, want 0, 1 and 3", o, m, a)
	}
	if o, m, a := seen("acme-owner"), seen("acme-member"), seen("alice"); o != 2 || m != 1 || a != 0 {
		t.Errorf("the owner sees %d, the member %d, a stranger %d alerts, want 2, 1 and 0", o, m, a)
	}
}

// Credits that end are told of once, with what is left of them when they are: by any
// number of sweeps at once, and without those that were never to last longer.
func TestExpiringLotsAreToldOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	const day = 24 * time.Hour
	alice := l.user("alice", 0)
	soon, after := in(3*day), in(30*day)
	for name, end := range map[string]*time.Time{"soon": soon, "sooner": in(2 * day), "after": after, "short": in(day)} {
		l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credits(10), Reference: name, ExpiresAt: end})
	}
	l.exec(`UPDATE credits.lots SET created_at = now() - interval '60 days' WHERE reference <> 'short'`)
	l.spend(alice, creditcore.Credits(14)) // short, and 4 of sooner
	sweep := func() {
		t.Helper()
		concurrently(8, func(int) { l.exec(`SELECT `+functions.Schema+`.warn_expiring(100, $1)`, 7*day) })
	}
	sweep()
	sweep()
	told := `expiring {"credits": 16}`
	l.wantAlerts(alice, told)
	list, err := l.Alerts(t.Context(), creditcore.Caller{UserID: alice, Role: "user"}, 1)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	numbers, err := list[0].Numbers()
	if err != nil || numbers.ExpiresAt == nil || numbers.ExpiresAt.Sub(time.Now()).Round(day) != 2*day || *numbers.Credits != creditcore.Credits(16) {
		t.Errorf("%+v, %v", numbers, err)
	}
	l.exec(`UPDATE credits.lots SET expires_at = now() + interval '6 days' WHERE reference = 'after'`)
	sweep()
	l.wantAlerts(alice, told, `expiring {"credits": 10}`)
	bob := l.user("bob", 0)
	l.grant(creditcore.Grant{UserID: bob, Amount: creditcore.Credit, ExpiresAt: soon})
	l.exec(`UPDATE credits.lots SET created_at = now() - interval '60 days' WHERE user_id = 'bob'`)
	l.spend(bob, creditcore.Credit) // nothing is left
	sweep()
	l.wantAlerts(bob)
}

// A run of the ledger tells of what ends soon.
func TestRunTellsOfExpiringLots(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credit, ExpiresAt: in(24 * time.Hour)})
	l.exec(`UPDATE credits.lots SET created_at = now() - interval '60 days'`)
	_, stop := l.process(creditcore.Config{ExpireEvery: 20 * time.Millisecond, ExpiryNotice: 48 * time.Hour})
	defer stop()
	for deadline := time.Now().Add(20 * time.Second); len(l.alerts(alice)) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is told")
		}
	}
	l.wantAlerts(alice, `expiring {"credits": 1}`)
}

// What was bought, and what is owed, is told of with its cause.
func TestPurchaseAndDebtAreTold(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credits(10), Source: creditcore.SourcePurchase, Type: creditcore.Purchase, Reference: "purchase:1"})
	bought := `purchased {"credits": 10}`
	l.wantAlerts(alice, bought)
	l.spend(alice, creditcore.Credits(7))
	l.clawback(creditcore.Clawback{UserID: alice, Reference: "purchase:1", Amount: creditcore.Credits(10), InternalKey: "refund:1"})
	l.wantAlerts(alice, bought, `debt {"credits": 7}`)
	l.grant(creditcore.Grant{UserID: alice, Amount: creditcore.Credits(7)}) // pays
	l.wantAlerts(alice, bought, `debt {"credits": 7}`)
	if _, err := dbscope.Exec(t.Context(), l.db.Pool, dbscope.System(),
		`SELECT set_config('mana.silent', 'on', true), credits.alert('alice', NULL, 'debt', NULL, NULL, '{}')`); err != nil {
		t.Fatal(err)
	}
	l.wantAlerts(alice, bought, `debt {"credits": 7}`) // an import tells nothing
}

// A subscription that is not paid is told of once, until it was paid again.
func TestFailedRenewalIsTold(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.exec(`INSERT INTO subscriptions.plans (id, name) VALUES ('pro', 'Pro')`)
	l.exec(`INSERT INTO subscriptions.subscriptions (id, user_id, plan_id, status) VALUES ('s1', 'alice', 'pro', 'active')`)
	told := `renewal_failed {"planId": "pro"}`
	for _, step := range []struct {
		status string
		want   []string
	}{{"past_due", []string{told}}, {"unpaid", []string{told}}, {"active", []string{told}}, {"unpaid", []string{told, told}}, {"canceled", []string{told, told}}} {
		l.exec(`UPDATE subscriptions.subscriptions SET status = $1`, step.status)
		l.wantAlerts(alice, step.want...)
	}
}

// Above the threshold and within a dip a debit pays for a comparison alone: the trigger
// is not called. At the edge of the dip it is, once.
func TestDebitPaysForAComparison(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(100))
	l.tellBelow(alice, creditcore.Credits(10))
	called := func(credits int64) (n float64) {
		t.Helper()
		err := dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			var raw []byte
			err := tx.QueryRow(t.Context(), `EXPLAIN (ANALYZE, FORMAT JSON)
				UPDATE credits.balances AS b
				SET balance = b.balance - $2, total_spent = b.total_spent + $2, version = b.version + 1
				WHERE b.user_id = $1`, alice, int64(creditcore.Credits(credits))).Scan(&raw)
			if err != nil {
				return err
			}
			var plan []struct {
				Triggers []struct {
					Name  string  `json:"Trigger Name"`
					Calls float64 `json:"Calls"`
				}
			}
			if err := json.Unmarshal(raw, &plan); err != nil {
				return err
			}
			for _, trigger := range plan[0].Triggers {
				n += trigger.Calls
			}
			return errUndone
		})
		if !errors.Is(err, errUndone) {
			t.Fatal(err)
		}
		return n
	}
	if n := called(90); n != 0 {
		t.Errorf("above the threshold %v triggers are called", n)
	}
	if n := called(91); n != 1 {
		t.Errorf("at the edge %v triggers are called, want 1", n)
	}
	l.spend(alice, creditcore.Credits(91))
	if n := called(5); n != 0 {
		t.Errorf("within the dip %v triggers are called", n)
	}
}

var errUndone = errors.New("undone")

// Each alert is told once, by whichever edge; what fails is told again.
func TestTellAlerts(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for i := range 250 {
		l.exec(`INSERT INTO credits.alerts (id, account_id, kind, data) VALUES ($1::int, 'alice', 'low', '{"balance": 1.5}')`, i)
	}
	failed := 0
	if _, err := l.TellAlerts(t.Context(), func(context.Context, pgx.Tx, creditcore.Alert) error {
		if failed++; failed == 3 {
			return errUndone
		}
		return nil
	}); !errors.Is(err, errUndone) || failed != 3 {
		t.Fatalf("%d tries, %v", failed, err)
	}
	var total, wrong atomic.Int64
	seen := make(chan string, 1000)
	concurrently(4, func(int) {
		n, err := l.TellAlerts(t.Context(), func(_ context.Context, _ pgx.Tx, a creditcore.Alert) error {
			seen <- a.ID
			if numbers, err := a.Numbers(); err != nil || *numbers.Balance != 1500 || a.Kind != creditcore.AlertLow || a.AccountID != "alice" {
				wrong.Add(1)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		total.Add(int64(n))
	})
	close(seen)
	ids := map[string]int{}
	for id := range seen {
		ids[id]++
	}
	if total.Load() != 250 || len(ids) != 250 || wrong.Load() != 0 {
		t.Errorf("%d were told of %d, %d wrong", total.Load(), len(ids), wrong.Load())
	}
	for n := range maps.Values(ids) {
		if n != 1 {
			t.Errorf("one was told %d times", n)
		}
	}
}

// A threshold is a number of credits of an account that there is. Another one has a
// balance below it told of anew; what was told ends with the account.
func TestSetLowBalance(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(10))
	set := func(user string, threshold creditcore.Amount) error {
		return l.SetLowBalance(t.Context(), creditcore.Caller{UserID: user}, &threshold)
	}
	for _, threshold := range []creditcore.Amount{-1, creditcore.MaxAmount + 1} {
		if err := set(alice, threshold); !errors.Is(err, creditcore.ErrInvalid) {
			t.Errorf("%s: %v", threshold, err)
		}
	}
	if err := set("nobody", 1); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("nobody's: %v", err)
	}
	l.tellBelow(alice, creditcore.Credits(20))
	l.spend(alice, creditcore.Credit)
	l.tellBelow(alice, creditcore.Credits(15))
	l.spend(alice, creditcore.Credit)
	l.wantAlerts(alice, `low {"balance": 9, "threshold": 20}`, `low {"balance": 8, "threshold": 15}`)
	if err := l.SetLowBalance(t.Context(), creditcore.Caller{UserID: alice}, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := l.AlertSettings(t.Context(), creditcore.Caller{UserID: alice}); err != nil || got.LowBalance != nil || got.Default != nil {
		t.Errorf("%+v, %v", got, err)
	}
	l.tellBelow(alice, creditcore.Credits(15))
	err := dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error { return l.EraseTx(t.Context(), tx, alice) })
	if got, settings := l.AlertSettings(t.Context(), creditcore.Caller{UserID: alice}); err != nil || settings != nil || got.LowBalance != nil {
		t.Errorf("after the end: %+v, %v, %v", got, err, settings)
	}
	l.wantAlerts(alice)
}

// Old alerts are deleted but for such that nobody was told of, and those of budgets that
// never begin anew.
func TestOldAlertsAreDeleted(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.exec(`INSERT INTO credits.alerts (account_id, kind, name, data, created_at, told_at)
		SELECT 'alice', kind, name, '{}', now() - age::interval, CASE WHEN told THEN now() END
		FROM (VALUES ('new', NULL, '89 days', true), ('old', NULL, '91 days', true), ('untold', NULL, '91 days', false),
			('total', 'key:k1:5:total', '91 days', true), ('day', 'key:k1:5:2000-01-01', '91 days', true)) AS v (kind, name, age, told)`)
	l.PruneAlerts(t.Context())
	left := map[string]bool{}
	for _, a := range l.alerts("alice") {
		left[strings.Fields(a)[0]] = true
	}
	if diff := cmp.Diff(map[string]bool{"new": true, "untold": true, "total": true}, left); diff != "" {
		t.Error(diff)
	}
}

// Operators read alerts of all accounts page by page, with whose they are, and count those
// of some kinds.
func TestAlertPage(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	l.exec(`INSERT INTO credits.alerts (id, account_id, user_id, kind, data, created_at)
		SELECT 'a' || i, (ARRAY['alice', 'org:acme', 'org:gone'])[1 + i % 3], CASE WHEN i % 3 = 1 THEN 'alice' END, CASE WHEN i % 2 = 0 THEN 'debt' ELSE 'low' END, '{}', now() - make_interval(hours => i / 4)
		FROM generate_series(1, 24) AS i`)
	read := func(q creditcore.AlertQuery) (ids []string, owners map[string]int) {
		t.Helper()
		owners, q.Limit = map[string]int{}, 5
		for {
			list, next, err := l.AlertPage(t.Context(), q)
			if err != nil || len(list) > 5 {
				t.Fatal(list, err)
			}
			for _, a := range list {
				ids = append(ids, a.ID)
				owners[a.Owner+" "+a.UserEmail]++
			}
			if next.IsZero() {
				return ids, owners
			}
			q.Before = next
		}
	}
	email := alice + "@example.com"
	for _, c := range []struct {
		q    creditcore.AlertQuery
		want map[string]int
	}{
		{creditcore.AlertQuery{}, map[string]int{email + " ": 8, "Acme " + email: 8, " ": 8}},
		{creditcore.AlertQuery{Kind: creditcore.AlertDebt}, map[string]int{email + " ": 4, "Acme " + email: 4, " ": 4}},
		{creditcore.AlertQuery{AccountID: "alice"}, map[string]int{email + " ": 8}},
		{creditcore.AlertQuery{AccountID: "org:acme", UserID: "alice", Kind: creditcore.AlertLow}, map[string]int{"Acme " + email: 4}},
		{creditcore.AlertQuery{AccountID: "org:acme", UserID: "bob"}, map[string]int{}},
	} {
		ids, owners := read(c.q)
		if diff := cmp.Diff(c.want, owners); diff != "" {
			t.Errorf("%+v: %s", c.q, diff)
		}
		seen := map[string]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if len(seen) != len(ids) {
			t.Errorf("%+v: %v", c.q, ids)
		}
	}
	if ids, _ := read(creditcore.AlertQuery{}); ids[0] != "a3" || ids[3] != "a7" || ids[23] != "a24" {
		t.Errorf("in the order %v", ids)
	}
	counts, err := l.CountAlerts(t.Context(), time.Now().Add(-150*time.Minute), 5, creditcore.AlertDebt, creditcore.AlertLow, creditcore.AlertTopUpOff)
	if diff := cmp.Diff(map[creditcore.AlertKind]int{creditcore.AlertDebt: 5, creditcore.AlertLow: 5, creditcore.AlertTopUpOff: 0}, counts); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	counts, err = l.CountAlerts(t.Context(), time.Now().Add(-90*time.Minute), 5, creditcore.AlertDebt)
	if counts[creditcore.AlertDebt] != 3 || err != nil {
		t.Errorf("%v, %v", counts, err)
	}
}
