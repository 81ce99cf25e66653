package billing_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// shown is a package without what differs from run to run.
type shown struct {
	Name, Description string
	Credits           creditcore.Amount
	Cents             int64
	Order             int32
}

func shelf(t *testing.T, s *billing.Service) []shown {
	t.Helper()
	found, err := s.Packages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := []shown{}
	for _, p := range found {
		one := shown{Name: p.Name, Credits: p.Credits, Cents: p.PriceEuroCents, Order: p.SortOrder}
		if p.Description != nil {
			one.Description = *p.Description
		}
		list = append(list, one)
		if p.ID == "" || !p.Active || p.CreatedAt.IsZero() || p.UpdatedAt.IsZero() {
			t.Errorf("package: %+v", p)
		}
	}
	return list
}

// What the configuration says is for sale; what it no longer says is not, and
// what others wrote stays.
func TestSeedPackages(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	seeded := func(seeds ...catalog.PackageSeed) *billing.Service {
		s := billing.New(billing.Config{Packages: seeds}, billing.Deps{Pool: db.Pool})
		for range 2 {
			if err := s.Seed(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	if diff := cmp.Diff([]shown{}, shelf(t, seeded())); diff != "" {
		t.Errorf("an empty configuration (-want +got):\n%s", diff)
	}
	_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
		INSERT INTO credits.packages (name, credits, price_euro_cents, sort_order)
		VALUES ('by hand', 1500, 2, 9)`)
	if err != nil {
		t.Fatal(err)
	}
	small := catalog.PackageSeed{Name: "small", Credits: creditcore.Credits(100), PriceEuroCents: 100}
	large := catalog.PackageSeed{Name: "large", Description: "the large one", Credits: creditcore.Credits(1000), PriceEuroCents: 900}
	byHand := shown{Name: "by hand", Credits: 1500, Cents: 2, Order: 9}
	want := []shown{
		{Name: "small", Credits: creditcore.Credits(100), Cents: 100},
		{Name: "large", Description: "the large one", Credits: creditcore.Credits(1000), Cents: 900, Order: 1},
		byHand,
	}
	if diff := cmp.Diff(want, shelf(t, seeded(small, large))); diff != "" {
		t.Errorf("two packages (-want +got):\n%s", diff)
	}
	large.PriceEuroCents = 800
	want = []shown{{Name: "large", Description: "the large one", Credits: creditcore.Credits(1000), Cents: 800}, byHand}
	if diff := cmp.Diff(want, shelf(t, seeded(large))); diff != "" {
		t.Errorf("one is gone, one is cheaper (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, shelf(t, seeded())); diff != "" {
		t.Errorf("a configuration without packages (-want +got):\n%s", diff)
	}
	if got := shelf(t, seeded(small)); len(got) != 2 || got[0].Name != "small" {
		t.Errorf("one is back: %+v", got)
	}
}

// A shop without any package gets the default ones, once.
func TestDefaultPackages(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := billing.New(billing.Config{SecretKey: "sk_test_1"}, billing.Deps{Pool: db.Pool})
	for range 2 {
		if err := s.Seed(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []shown{
			{Name: "100 Credits", Credits: creditcore.Credits(100), Cents: 100},
			{Name: "500 Credits", Credits: creditcore.Credits(500), Cents: 500, Order: 1},
			{Name: "1000 Credits", Credits: creditcore.Credits(1000), Cents: 1000, Order: 2},
		}
		if diff := cmp.Diff(want, shelf(t, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `UPDATE credits.packages SET active = false`)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Seed(t.Context()); err != nil || len(shelf(t, s)) != 0 {
		t.Errorf("%+v, %v", shelf(t, s), err)
	}
}
