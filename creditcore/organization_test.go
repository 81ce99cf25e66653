package creditcore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// organization makes an organisation with that many credits and a member for each
// role, named after it: acme-owner, acme-admin, acme-member.
func (l *ledger) organization(id string, credits creditcore.Amount) string {
	l.t.Helper()
	l.exec(`INSERT INTO auth.organizations (id, name) VALUES ($1, $1)`, id)
	for _, role := range []string{"owner", "admin", "member"} {
		l.join(id, l.user(id+"-"+role, 0), role)
	}
	if credits > 0 {
		l.grant(creditcore.Grant{UserID: creditcore.OrganizationAccount(id), Amount: credits, Source: creditcore.SourcePurchase, Type: creditcore.Purchase})
	}
	return id
}

func (l *ledger) join(organization, user, role string) {
	l.t.Helper()
	l.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ($1 || '/' || $2, $1, $2, $3)`, organization, user, role)
}

func (l *ledger) expel(organization, user string) {
	l.t.Helper()
	l.exec(`DELETE FROM auth.members WHERE organization_id = $1 AND user_id = $2`, organization, user)
}

// of is a user who acts for an organisation.
func of(organization, user string) creditcore.Caller {
	return creditcore.Caller{UserID: user, Role: "user", Organization: organization}
}

// allot is by the organisation's owner.
func (l *ledger) allot(organization, user string, credits creditcore.Amount, period creditcore.Period) {
	l.t.Helper()
	_, err := l.Allot(l.t.Context(), of(organization, organization+"-owner"), creditcore.Allotment{UserID: user, Credits: credits, Period: period})
	if err != nil {
		l.t.Fatalf("allot to %q: %v", user, err)
	}
}

// share is a member's, as the owner sees it.
func (l *ledger) share(organization, user string) creditcore.Share {
	l.t.Helper()
	list, err := l.Shares(l.t.Context(), of(organization, organization+"-owner"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range list {
		if s.UserID == user {
			return s
		}
	}
	l.t.Fatalf("no share of %s among %+v", user, list)
	return creditcore.Share{}
}

func wantShortOf(t *testing.T, err error, allotment bool, required, left creditcore.Amount) {
	t.Helper()
	var short *creditcore.InsufficientError
	if !errors.As(err, &short) || short.OfAllotment != allotment || short.OfKey || short.Organization != "acme" ||
		short.Required != required || short.Available != left || short.CreditType() != "organization" {
		t.Errorf("refused with %+v (%v), want %s of %s", short, err, required, left)
	}
}

// Debits and holds of two edges at once spend exactly what is allotted, and what
// other members spend is no part of it.
func TestParallelRequestsSpendAnAllotmentExactly(t *testing.T) {
	t.Parallel()
	take := map[string]func(edge *creditcore.Service, user string) error{
		"debits": func(edge *creditcore.Service, user string) error {
			return second(edge.Debit(t.Context(), creditcore.Debit{UserID: user, Organization: "acme", Amount: creditcore.Credit, AppID: "app"}))
		},
		"holds": func(edge *creditcore.Service, user string) error {
			return second(edge.Hold(t.Context(), creditcore.Hold{UserID: user, Organization: "acme", Amount: creditcore.Credit, AppID: "app"}))
		},
	}
	for name, take := range take {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.organization("acme", creditcore.Credits(1000))
			l.allot("acme", "acme-member", creditcore.Credits(10), creditcore.PerDay)
			edges := []*creditcore.Service{l.Service, creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: l.db.Pool})}
			var passed, refused, others atomic.Int64
			concurrently(64+16, func(i int) {
				if i >= 64 {
					if patiently(func() error { return take(edges[i%2], "acme-admin") }) == nil {
						others.Add(1)
					}
					return
				}
				err := patiently(func() error { return take(edges[i%2], "acme-member") })
				var short *creditcore.InsufficientError
				switch {
				case err == nil:
					passed.Add(1)
				case errors.As(err, &short) && short.OfAllotment && short.Available == 0:
					refused.Add(1)
				default:
					t.Errorf("neither passed nor refused: %v", err)
				}
			})
			if passed.Load() != 10 || refused.Load() != 54 || others.Load() != 16 {
				t.Errorf("passed %d, refused %d, without a bound %d", passed.Load(), refused.Load(), others.Load())
			}
			l.wantAvailable(creditcore.OrganizationAccount("acme"), creditcore.Credits(1000-26))
			if s := l.share("acme", "acme-member"); s.Spent != creditcore.Credits(10) || s.Left == nil || *s.Left != 0 {
				t.Errorf("the member's share: %+v", s)
			}
		})
	}
}

// A key of an organisation spends of two accounts, and of its budget exactly.
func TestAKeySpendsOfTwoAccountsWithinItsBudget(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.organization("acme", creditcore.Credits(100))
	l.grant(creditcore.Grant{UserID: "acme-admin", Amount: creditcore.Credits(100)})
	key := l.apiKey("acme-admin", creditcore.Credits(10), "day")
	l.exec(`UPDATE auth.api_keys SET organization_id = 'acme' WHERE id = $1`, key)
	edges := []*creditcore.Service{l.Service, creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: l.db.Pool})}
	var passed atomic.Int64
	concurrently(48, func(i int) {
		d := creditcore.Debit{UserID: "acme-admin", Amount: creditcore.Credit, AppID: "app", APIKey: key}
		if i%4 < 2 {
			d.Organization = "acme"
		}
		err := patiently(func() error { return second(edges[i%2].Debit(t.Context(), d)) })
		var short *creditcore.InsufficientError
		if err == nil {
			passed.Add(1)
		} else if !errors.As(err, &short) || !short.OfKey {
			t.Errorf("refused with %v", err)
		}
	})
	if passed.Load() != 10 {
		t.Errorf("passed %d", passed.Load())
	}
	l.wantSpent("acme-admin", key, creditcore.Credits(10))
}

func TestWhoMaySpendOfAnOrganization(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.organization("acme", creditcore.Credits(100))
	l.user("stranger", creditcore.Credits(5))
	charge := func(user string, credits int64) error {
		_, err := l.debit(creditcore.Debit{UserID: user, Organization: "acme", Amount: creditcore.Credits(credits)})
		return err
	}
	for _, user := range []string{"acme-owner", "acme-admin"} {
		if err := charge(user, 1); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	wantShortOf(t, charge("acme-member", 1), true, creditcore.Credit, 0) // nothing is allotted
	for name, err := range map[string]error{"a stranger": charge("stranger", 1), "nobody": charge("no-such-user", 1)} {
		if !errors.Is(err, creditcore.ErrNotMember) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Nor is an organisation a user.
	if _, err := l.debit(creditcore.Debit{UserID: "org:acme", Amount: 1}); !errors.Is(err, creditcore.ErrNotMember) {
		t.Errorf("as a user: %v", err)
	}
	l.allot("acme", "", creditcore.Credits(3), creditcore.PerMonth)
	if err := charge("acme-member", 2); err != nil {
		t.Errorf("of what every member may: %v", err)
	}
	wantShortOf(t, charge("acme-member", 2), true, creditcore.Credits(2), creditcore.Credit)
	l.allot("acme", "acme-member", creditcore.Credits(50), creditcore.InTotal)
	if err := charge("acme-member", 48); err != nil {
		t.Errorf("of their own: %v", err)
	}
	l.allot("acme", "acme-member", creditcore.Credits(10), creditcore.InTotal) // less than was spent
	wantShortOf(t, charge("acme-member", 1), true, creditcore.Credit, 0)
	l.allot("acme", "acme-admin", creditcore.Credits(1000), creditcore.InTotal)
	wantShortOf(t, charge("acme-admin", 60), false, creditcore.Credits(60), creditcore.Credits(48)) // the balance
	l.allot("acme", "acme-admin", creditcore.Credit, creditcore.InTotal)
	wantShortOf(t, charge("acme-admin", 1), true, creditcore.Credit, 0)
	if err := l.Unallot(t.Context(), of("acme", "acme-owner"), "acme-admin"); err != nil {
		t.Fatal(err)
	}
	if err := charge("acme-admin", 1); err != nil {
		t.Errorf("once more without a bound: %v", err)
	}
	if _, err := l.debit(creditcore.Debit{UserID: "stranger", Organization: "none", Amount: 1}); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("of no organisation: %v", err)
	}
	l.wantAvailable("stranger", creditcore.Credits(5))
}

// What a member has in flight when they leave is the organisation's to pay, and
// nothing after it is.
func TestLeavingInFlight(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ctx := t.Context()
	l.organization("acme", creditcore.Credits(100))
	l.allot("acme", "acme-member", creditcore.Credits(50), creditcore.PerDay)
	debit := creditcore.Debit{UserID: "acme-member", Organization: "acme", Amount: creditcore.Credits(10), AppID: "app"}
	reserve := creditcore.Hold{UserID: "acme-member", Organization: "acme", Amount: creditcore.Credits(10), AppID: "app"}
	inFlight := debit
	inFlight.InFlight = true
	failing, err := l.Debit(ctx, inFlight)
	if err != nil {
		t.Fatal(err)
	}
	held, err := l.Hold(ctx, reserve)
	if err != nil || held.Account != "org:acme" {
		t.Fatal(held, err)
	}
	l.expel("acme", "acme-member")
	if _, err := l.Debit(ctx, debit); !errors.Is(err, creditcore.ErrNotMember) {
		t.Errorf("a debit after leaving: %v", err)
	}
	if _, err := l.Hold(ctx, reserve); !errors.Is(err, creditcore.ErrNotMember) {
		t.Errorf("a hold after leaving: %v", err)
	}
	if _, err := l.Compensate(ctx, failing); err != nil {
		t.Error(err)
	}
	settled, err := l.Settle(ctx, held.ID, creditcore.Credits(4), nil)
	if err != nil || settled.Entry.UserID != "org:acme" {
		t.Errorf("settled %+v, %v", settled.Entry, err)
	}
	l.wantAvailable("org:acme", creditcore.Credits(96))
	list, err := l.HistoryOf(ctx, of("acme", "acme-owner"), creditcore.HistoryFilter{SpentBy: "acme-member"}, 10)
	if err != nil || len(list) != 3 || *list[0].SpentBy != "acme-member" || list[0].UserID != "org:acme" {
		t.Errorf("what they spent: %+v, %v", list, err)
	}
	// Who comes back finds what they spent, and needs an allotment again.
	l.join("acme", "acme-member", "member")
	_, err = l.Debit(ctx, debit)
	wantShortOf(t, err, true, debit.Amount, 0)
	l.allot("acme", "acme-member", creditcore.Credits(50), creditcore.PerDay)
	if s := l.share("acme", "acme-member"); s.Spent != creditcore.Credits(4) || *s.Left != creditcore.Credits(46) {
		t.Errorf("their share: %+v", s)
	}
}

// An idempotency key is its client's: members do not meet each other's, and one
// request is charged once, whoever pays.
func TestKeysAreOfMembers(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ctx := t.Context()
	l.organization("acme", creditcore.Credits(100))
	l.grant(creditcore.Grant{UserID: "acme-owner", Amount: creditcore.Credits(100)})
	charge := func(user, organization string) (creditcore.Receipt, error) {
		return l.debit(creditcore.Debit{UserID: user, Organization: organization, Amount: creditcore.Credit, Key: "once"})
	}
	first, err := charge("acme-owner", "acme")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := charge("acme-owner", "acme"); err != nil || !again.Replayed || again.Entry.ID != first.Entry.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if other, err := charge("acme-admin", "acme"); err != nil || other.Replayed {
		t.Errorf("another member: %+v, %v", other, err)
	}
	if _, err := charge("acme-owner", ""); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("the same key for another payer: %v", err)
	}

	// A hold is found on whichever account it was made, and joined there.
	hold := func(organization string) (creditcore.Held, error) {
		return l.Hold(ctx, creditcore.Hold{UserID: "acme-owner", Organization: organization, Amount: creditcore.Credit, AppID: "app", Key: "request", Request: "GET /"})
	}
	own, err := hold("")
	if err != nil || own.Account != "acme-owner" {
		t.Fatal(own, err)
	}
	joined, err := hold("acme")
	if err != nil || !joined.Replayed || joined.ID != own.ID || joined.Account != "acme-owner" {
		t.Errorf("of the other account: %+v, %v", joined, err)
	}
	for range 2 {
		if _, err := l.Settle(ctx, own.ID, creditcore.Credit, nil); err != nil {
			t.Error(err)
		}
	}
	l.wantAvailable("acme-owner", creditcore.Credits(99))
	l.wantAvailable("org:acme", creditcore.Credits(98))
}

// Twins that ask two accounts at once for one key are charged once.
func TestTwinsOfTwoPayers(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.organization("acme", creditcore.Credits(1000))
	l.grant(creditcore.Grant{UserID: "acme-owner", Amount: creditcore.Credits(1000)})
	edges := []*creditcore.Service{l.Service, creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: l.db.Pool})}
	for round := range 12 {
		var ids [4]string
		concurrently(len(ids), func(i int) {
			h := creditcore.Hold{UserID: "acme-owner", Amount: creditcore.Credit, AppID: "app", Key: fmt.Sprint("twins-", round), Request: "GET /"}
			if i%2 == 0 {
				h.Organization = "acme"
			}
			held, err := retried(func() (creditcore.Held, error) { return edges[i/2].Hold(t.Context(), h) })
			if err != nil && !errors.Is(err, creditcore.ErrKeySpent) { // the fourth of three passes
				t.Errorf("round %d: %v", round, err)
			}
			ids[i] = held.ID
		})
		made := map[string]bool{}
		for _, id := range ids {
			if id != "" {
				made[id] = true
			}
		}
		if len(made) != 1 {
			t.Errorf("round %d: holds %v", round, ids)
		}
	}
}

func TestAllotmentsAreChecked(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.organization("acme", 0)
	l.user("stranger", 0)
	for name, row := range map[string]struct {
		by   string
		a    creditcore.Allotment
		want error
	}{
		"nothing":         {"acme-owner", creditcore.Allotment{UserID: "acme-member", Credits: 0, Period: creditcore.PerDay}, creditcore.ErrInvalid},
		"less":            {"acme-owner", creditcore.Allotment{UserID: "acme-member", Credits: -1, Period: creditcore.PerDay}, creditcore.ErrInvalid},
		"more than all":   {"acme-owner", creditcore.Allotment{UserID: "acme-member", Credits: 1 << 53, Period: creditcore.PerDay}, creditcore.ErrInvalid},
		"no period":       {"acme-owner", creditcore.Allotment{UserID: "acme-member", Credits: 1}, creditcore.ErrInvalid},
		"another period":  {"acme-owner", creditcore.Allotment{UserID: "acme-member", Credits: 1, Period: "week"}, creditcore.ErrInvalid},
		"no member":       {"acme-owner", creditcore.Allotment{UserID: "stranger", Credits: 1, Period: creditcore.PerDay}, creditcore.ErrNoAllotment},
		"NUL":             {"acme-owner", creditcore.Allotment{UserID: "a\x00", Credits: 1, Period: creditcore.PerDay}, creditcore.ErrNoAllotment},
		"by a member":     {"acme-member", creditcore.Allotment{UserID: "acme-member", Credits: 1, Period: creditcore.PerDay}, creditcore.ErrNotMember},
		"by a stranger":   {"stranger", creditcore.Allotment{UserID: "acme-member", Credits: 1, Period: creditcore.PerDay}, creditcore.ErrNotMember},
		"by an admin":     {"acme-admin", creditcore.Allotment{UserID: "acme-member", Credits: 1, Period: creditcore.PerDay}, nil},
		"to every member": {"acme-admin", creditcore.Allotment{Credits: creditcore.MaxAmount, Period: creditcore.InTotal}, nil},
	} {
		if _, err := l.Allot(t.Context(), of("acme", row.by), row.a); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
	for _, by := range []string{"acme-member", "stranger"} {
		if err := l.Unallot(t.Context(), of("acme", by), "acme-member"); !errors.Is(err, creditcore.ErrNoAllotment) {
			t.Errorf("taken back by %s: %v", by, err)
		}
	}
	if own, err := l.Shares(t.Context(), of("acme", "acme-member")); err != nil || len(own) != 1 || own[0].UserID != "acme-member" {
		t.Errorf("a member sees %+v, %v", own, err)
	}
	if none, err := l.Shares(t.Context(), of("acme", "stranger")); err != nil || len(none) != 0 {
		t.Errorf("a stranger sees %+v, %v", none, err)
	}
}

// What an organisation has when it is deleted goes to the heir, as what it was,
// and what comes in later follows. The ledger stays.
func TestClosedOrganizations(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ctx := t.Context()
	l.organization("acme", 0)
	end := time.Now().Add(48 * time.Hour).Truncate(time.Millisecond)
	l.grant(creditcore.Grant{UserID: "org:acme", Amount: creditcore.Credits(30), Type: creditcore.Purchase, Source: creditcore.SourcePurchase, ExpiresAt: &end, By: "acme-owner"})
	l.grant(creditcore.Grant{UserID: "org:acme", Amount: creditcore.Credits(10)})
	held, err := l.Hold(ctx, creditcore.Hold{UserID: "acme-owner", Organization: "acme", Amount: creditcore.Credits(5), AppID: "app"})
	if err != nil {
		t.Fatal(err)
	}
	if err := dbscope.InTx(ctx, l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		if err := l.CloseTx(ctx, tx, "acme", "acme-owner"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM auth.organizations WHERE id = 'acme'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	l.wantAvailable("org:acme", 0)
	l.wantAvailable("acme-owner", creditcore.Credits(35))
	lots, err := l.Lots(ctx, creditcore.Caller{UserID: "acme-owner"})
	if err != nil || len(lots) != 2 || lots[0].Source != creditcore.SourcePurchase || lots[0].ExpiresAt == nil || !lots[0].ExpiresAt.Equal(end) {
		t.Errorf("lots of the heir: %+v, %v", lots, err)
	}
	if _, err := l.debit(creditcore.Debit{UserID: "acme-owner", Organization: "acme", Amount: 1}); !errors.Is(err, creditcore.ErrNotMember) {
		t.Errorf("a charge to who is gone: %v", err)
	}
	if _, err := l.Settle(ctx, held.ID, creditcore.Credits(2), nil); err != nil {
		t.Errorf("what was in flight: %v", err)
	}
	l.wantAvailable("org:acme", creditcore.Credits(3))
	edge := creditcore.New(creditcore.Config{ExpireEvery: 20 * time.Millisecond}, creditcore.Deps{Pool: l.db.Pool})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		_ = edge.Run(ctx)
		close(done)
	}()
	for wait := time.Now().Add(20 * time.Second); l.balance("org:acme").Available > 0 && time.Now().Before(wait); {
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	<-done
	l.wantAvailable("org:acme", 0)
	l.wantAvailable("acme-owner", creditcore.Credits(38))
}
