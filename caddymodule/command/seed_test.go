package command_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

type seedJSON struct {
	Plans []struct {
		Name                 string
		MonthlyCredits       float64
		StripePriceIDMonthly *string `json:"stripePriceIdMonthly"`
	}
	Packages []packageJSON
}

type packageJSON struct {
	Name           string
	Credits        float64
	PriceEuroCents int64
}

func TestSeed(t *testing.T) {
	t.Parallel()
	app := edgetest.With(edgetest.ExternalApp(pgtest.New(t)), "stripe", map[string]any{
		"plans": []any{map[string]any{"name": "plus", "monthly": "price_plus"}},
		"packages": []any{
			map[string]any{"name": "Small", "credits": "100", "cents": "100"},
			map[string]any{"name": "Large", "credits": "1200.5", "cents": "1000"},
		},
	})
	for range 2 {
		out, err := edgetest.Operate(t, "", "seed", "--json", "--config", edgetest.ConfigFile(t, app))
		if err != nil {
			t.Fatal(err)
		}
		got := edgetest.Decode[seedJSON](t, out)
		if diff := cmp.Diff([]packageJSON{{"Small", 100, 100}, {"Large", 1200.5, 1000}}, got.Packages); diff != "" {
			t.Errorf("packages (-want +got)\n%s", diff)
		}
		var names []string
		for _, p := range got.Plans {
			names = append(names, p.Name)
		}
		if diff := cmp.Diff([]string{"Free", "Plus", "Pro", "Ultra"}, names); diff != "" {
			t.Fatalf("plans (-want +got)\n%s", diff)
		}
		if plus := got.Plans[1]; plus.MonthlyCredits != 100 || plus.StripePriceIDMonthly == nil || *plus.StripePriceIDMonthly != "price_plus" {
			t.Errorf("plus: %+v", plus)
		}
	}
	// A package that is taken out of the config is no longer for sale.
	app["stripe"].(map[string]any)["packages"] = []any{map[string]any{"name": "Large", "credits": "1300", "cents": "900"}}
	out, err := edgetest.Operate(t, "", "seed", "--json", "--config", edgetest.ConfigFile(t, app))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]packageJSON{{"Large", 1300, 900}}, edgetest.Decode[seedJSON](t, out).Packages); diff != "" {
		t.Errorf("packages (-want +got)\n%s", diff)
	}
}

// Without a config, what is for sale comes from the environment.
func TestSeedFromTheEnvironment(t *testing.T) {
	t.Setenv("STRIPE_PLUS_PRICE_MONTHLY", "price_env")
	out, err := edgetest.Operate(t, "", "seed", "--json", "--database", pgtest.New(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	if plus := edgetest.Decode[seedJSON](t, out).Plans[1]; plus.StripePriceIDMonthly == nil || *plus.StripePriceIDMonthly != "price_env" {
		t.Errorf("plus: %+v", plus)
	}
}
