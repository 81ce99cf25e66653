package billing_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func seed(t *testing.T, db *pgtest.Database, plans ...catalog.PlanSeed) *billing.Service {
	t.Helper()
	s := billing.New(billing.Config{Plans: plans}, billing.Deps{Pool: db.Pool})
	for range 2 {
		if err := s.Seed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSeedPlans(t *testing.T) {
	t.Parallel()
	type seeded struct {
		Name           string
		Credits        creditcore.Amount
		Month, Year    int64
		Team, Orgs     int32
		Default, Large bool
		Features       int
		Monthly        string
	}
	db := pgtest.New(t)
	s := seed(t, db, catalog.PlanSeed{Name: "PLUS", ProductID: "prod_1", PriceMonthly: "price_m", PriceYearly: "price_y"})
	plans, err := s.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	value := func(n *int32) int32 {
		if n == nil {
			return 0
		}
		return *n
	}
	var got []seeded
	for _, p := range plans {
		one := seeded{p.Name, p.MonthlyCredits, p.PriceMonthlyEuroCents, p.PriceYearlyEuroCents, value(p.MaxTeamMembers),
			value(p.MaxOrganizations), p.IsDefault, p.IsEnterprise, len(p.Features), ""}
		if p.StripePriceIDMonthly != nil {
			one.Monthly = *p.StripePriceIDMonthly
		}
		got = append(got, one)
	}
	want := []seeded{
		{"Free", creditcore.Credits(50), 0, 0, 0, 0, true, false, 3, ""},
		{"Plus", creditcore.Credits(100), 499, 4999, 1, 1, false, false, 4, "price_m"},
		{"Pro", creditcore.Credits(500), 1199, 11999, 5, 3, false, false, 5, ""},
		{"Ultra", creditcore.Credits(2000), 2499, 24999, 0, 0, false, true, 6, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Free", "Plus", "Pro", "Ultra"}, catalog.PlanNames()); diff != "" {
		t.Errorf("names:\n%s", diff)
	}
}

// A price that was replaced still leads to its plan, since people pay it.
func TestSeedKeepsOldPrices(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	seed(t, db, catalog.PlanSeed{Name: "Plus", PriceMonthly: "price_old"})
	seed(t, db, catalog.PlanSeed{Name: "Plus", PriceMonthly: "price_new"})
	type price struct{ ID, Plan string }
	found, err := dbscope.Rows[price](t.Context(), db.Pool, dbscope.System(), `
		SELECT r.stripe_price_id AS id, p.name AS plan
		FROM subscriptions.prices r
		JOIN subscriptions.plans p ON p.id = r.plan_id
		ORDER BY 1`)
	if diff := cmp.Diff([]price{{"price_new", "Plus"}, {"price_old", "Plus"}}, found); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	seed(t, db, catalog.PlanSeed{Name: "Pro", PriceMonthly: "price_old"})
	found, err = dbscope.Rows[price](t.Context(), db.Pool, dbscope.System(), `
		SELECT r.stripe_price_id AS id, p.name AS plan
		FROM subscriptions.prices r
		JOIN subscriptions.plans p ON p.id = r.plan_id
		WHERE r.stripe_price_id = 'price_old'`)
	if diff := cmp.Diff([]price{{"price_old", "Pro"}}, found); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// What an admin changed of a plan survives the next start.
func TestSeedKeepsAdminsChanges(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := seed(t, db)
	_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
		UPDATE subscriptions.plans
		SET monthly_credits = 150000, active = false, features = '["one"]', description = 'mine'
		WHERE name = 'Plus'`)
	if err != nil {
		t.Fatal(err)
	}
	before := planNamed(t, db, s, "Plus")
	seed(t, db, catalog.PlanSeed{Name: "Pro", PriceMonthly: "price_pro"})
	if diff := cmp.Diff(before, planNamed(t, db, s, "Plus")); diff != "" {
		t.Errorf("Plus (-before +after):\n%s", diff)
	}
	if before.Active || before.MonthlyCredits != creditcore.Credits(150) {
		t.Errorf("Plus: %+v", before)
	}
	seed(t, db, catalog.PlanSeed{Name: "plus", PriceMonthly: "price_plus"})
	if p := planNamed(t, db, s, "Plus"); p.Active || p.StripePriceIDMonthly == nil || *p.StripePriceIDMonthly != "price_plus" {
		t.Errorf("Plus with a price: %+v", p)
	}
	unknown := billing.New(billing.Config{Plans: []catalog.PlanSeed{{Name: "Team"}}}, billing.Deps{Pool: db.Pool})
	if err := unknown.Seed(t.Context()); !errors.Is(err, catalog.ErrPlanNotFound) {
		t.Errorf("a plan that nobody knows: %v", err)
	}
}

func planNamed(t *testing.T, db *pgtest.Database, s *billing.Service, name string) catalog.Plan {
	t.Helper()
	found, err := dbscope.Row[struct{ ID string }](t.Context(), db.Pool, dbscope.System(),
		`SELECT id FROM subscriptions.plans WHERE name = $1`, name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(t.Context(), found.ID)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
