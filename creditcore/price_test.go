package creditcore_test

import (
	"errors"
	"testing"

	"mana.how/edge/creditcore"
)

func TestPrices(t *testing.T) {
	t.Parallel()
	prices := creditcore.NewPrices(
		creditcore.Price{Name: "image", Credits: creditcore.Credits(20), Per: 1},
		creditcore.Price{Name: "chat.token", Credits: 2, Per: 1000, Unit: "tokens"},
		creditcore.Price{Name: "most", Credits: creditcore.MaxAmount, Per: 1},
	)
	for _, row := range []struct {
		name           string
		quantity, want creditcore.Amount
		err            error
	}{
		{"image", creditcore.Credit, creditcore.Credits(20), nil},
		{"image", 500, creditcore.Credits(10), nil},
		{"chat.token", creditcore.Credits(1000), 2, nil},
		{"chat.token", creditcore.Credits(1), 1, nil}, // nothing is free
		{"chat.token", 1, 1, nil},
		{"chat.token", creditcore.Credits(500), 1, nil},
		{"chat.token", creditcore.Credits(501), 2, nil},
		{"chat.token", creditcore.Credits(1001), 3, nil},
		{"chat.token", creditcore.MaxAmount, creditcore.Credits(2000), nil},
		{"most", creditcore.Credit, creditcore.MaxAmount, nil},
		{"most", creditcore.Credit + 1, 0, creditcore.ErrInvalid},
		{"most", creditcore.MaxAmount, 0, creditcore.ErrInvalid},
		{"image", 0, 0, creditcore.ErrInvalid},
		{"image", -1, 0, creditcore.ErrInvalid},
	} {
		p, err := prices.Named(row.name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Cost(row.quantity); got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s of %s costs %s, %v, want %s, %v", row.quantity, row.name, got, err, row.want, row.err)
		}
	}
	for _, name := range []string{"", "chat", "zebra", "IMAGE"} {
		if _, err := prices.Named(name); !errors.Is(err, creditcore.ErrPriceUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if all := prices.All(); len(all) != 3 || all[0].Name != "chat.token" || all[2].Name != "most" {
		t.Errorf("all: %v", all)
	}
	if all := (creditcore.Prices{}).All(); len(all) != 0 {
		t.Errorf("of none: %v", all)
	}
}

// What of a quantity is above where a tier begins costs what the tier says, and is rounded
// up with the rest, once.
func TestTiers(t *testing.T) {
	t.Parallel()
	token := creditcore.Price{Name: "token", Credits: 2, Per: 1000, Unit: "tokens", Tiers: []creditcore.Tier{{Above: 1000, Credits: 1000}, {Above: 5000, Credits: 1}}}
	for _, row := range []struct {
		quantity, want creditcore.Amount
	}{
		{1, 1}, {creditcore.Credits(1), 1}, {creditcore.Credits(1000), 2},
		{creditcore.Credits(1000) + 1, 3}, // a thousandth of a token above
		{creditcore.Credits(2000), 1002}, {creditcore.Credits(5000), 4002}, {creditcore.Credits(6000), 4003},
		{creditcore.Credits(6001), 4004}, {creditcore.MaxAmount, 4002 + 999_995},
	} {
		if got, err := token.Cost(row.quantity); got != row.want || err != nil {
			t.Errorf("%s cost %s, %v, want %s", row.quantity, got, err, row.want)
		}
	}
	dear := creditcore.Price{Name: "dear", Credits: 1, Per: 1, Tiers: []creditcore.Tier{{Above: 1, Credits: creditcore.MaxAmount}}}
	if _, err := dear.Cost(creditcore.Credits(3)); !errors.Is(err, creditcore.ErrInvalid) {
		t.Errorf("more than an account can hold: %v", err)
	}
	var last creditcore.Amount
	for quantity := creditcore.Amount(1); quantity < creditcore.Credits(7000); quantity += 997 {
		cost, err := token.Cost(quantity)
		if err != nil || cost < last {
			t.Fatalf("%s cost %s, %v, and less cost %s", quantity, cost, err, last)
		}
		last = cost
	}
}

func TestPricesForPlans(t *testing.T) {
	t.Parallel()
	price := creditcore.Price{Name: "chat", Credits: 5000, Per: 1, Tiers: []creditcore.Tier{{Above: 10, Credits: 4000}}, Plans: []creditcore.PlanPrice{
		{Plan: "Pro", Credits: 3000}, {Plan: "big team", Credits: 2000, Tiers: []creditcore.Tier{{Above: 5, Credits: 1000}}},
	}}
	prices := creditcore.NewPrices(price, creditcore.Price{Name: "image", Credits: 20_000, Per: 1})
	for plan, want := range map[string]string{
		"": "chat 5 above 10 4", "other": "chat 5 above 10 4", "pro": "chat 3", "PRO": "chat 3", "Big Team": "chat 2 above 5 1",
	} {
		got, err := prices.For(plan).Named("chat")
		if err != nil || got.String() != want || (got.Plan != "") != (want != "chat 5 above 10 4") {
			t.Errorf("%q: %s of %q, %v, want %s", plan, got, got.Plan, err, want)
		}
		if image, err := prices.For(plan).Named("image"); err != nil || image.String() != "image 20" || image.Plan != "" {
			t.Errorf("%q: %s of %q, %v", plan, image, image.Plan, err)
		}
	}
	if got := price.String(); got != `chat 5 above 10 4 plan Pro 3 plan "big team" 2 above 5 1` {
		t.Error(got)
	}
}

// The plan of a user is asked for where a price knows plans, and counts as long as it is
// paid for or about to be.
func TestPlanOfAUser(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s, relay, stop := l.afar(creditcore.Config{Prices: creditcore.NewPrices(
		creditcore.Price{Name: "chat", Credits: 5000, Per: 1, Plans: []creditcore.PlanPrice{{Plan: "pro", Credits: 3000}}},
		creditcore.Price{Name: "image", Credits: 20_000, Per: 1},
	)})
	defer stop()
	l.exec(`INSERT INTO subscriptions.plans (id, name) VALUES ('p', 'Pro'), ('b', 'Basic')`)
	for state, row := range map[string]struct {
		plan, status string
		surplus      bool
		want         creditcore.Amount
	}{
		"none": {want: 5000}, "active": {"p", "active", false, 3000}, "trial": {"p", "trialing", false, 3000}, "late": {"p", "past_due", false, 3000},
		"unpaid": {"p", "unpaid", false, 5000}, "paused": {"p", "paused", false, 5000}, "over": {"p", "canceled", false, 5000},
		"second": {"p", "active", true, 5000}, "other": {"b", "active", false, 5000},
	} {
		user := l.user(state, 0)
		if row.plan != "" {
			l.exec(`INSERT INTO subscriptions.subscriptions (user_id, plan_id, status, surplus) VALUES ($1, $2, $3, $4)`, user, row.plan, row.status, row.surplus)
		}
		if p, err := s.PriceFor(t.Context(), user, "chat"); err != nil || p.Credits != row.want {
			t.Errorf("%s: %s, %v", state, p, err)
		}
	}
	if _, err := s.PriceFor(t.Context(), "active", "nothing"); !errors.Is(err, creditcore.ErrPriceUnknown) {
		t.Error(err)
	}
	relay.Cut(true)
	if p, err := s.PriceFor(t.Context(), "active", "image"); err != nil || p.Credits != 20_000 {
		t.Errorf("a price without plans asks for one: %s, %v", p, err)
	}
	if _, err := s.PriceFor(t.Context(), "another", "chat"); err == nil {
		t.Error("a plan that cannot be asked for is none")
	}
}
