package api_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
)

// priced is a site where things have prices.
func priced(t *testing.T) *site {
	t.Helper()
	s, _, _ := storefront(t)
	s.Ledger = creditcore.New(creditcore.Config{Prices: creditcore.NewPrices(
		creditcore.Price{Name: "chat.generate", Credits: creditcore.Credits(5), Per: 1},
		creditcore.Price{Name: "chat.token", Credits: 2, Per: 1000, Unit: "tokens"},
	)}, creditcore.Deps{Pool: s.db.Pool})
	return s
}

func TestPricesAreListed(t *testing.T) {
	t.Parallel()
	got := priced(t).send("GET", "/api/v1/credits/prices", nil).status(200).body
	want := `{"prices":[{"name":"chat.generate","credits":5,"per":1,"unit":"","version":0},{"name":"chat.token","credits":0.002,"per":1000,"unit":"tokens","version":0}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := newSite(t).send("GET", "/api/v1/credits/prices", nil).status(200).body; got != `{"prices":[]}` {
		t.Errorf("of none: %s", got)
	}
}

func TestChargesByPrice(t *testing.T) {
	t.Parallel()
	s := priced(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 100)
	by := func(change ...any) map[string]any { return charge(nil, change...) }
	used := s.send("POST", useURL, drop(by("price", "chat.token", "quantity", 1500, "metadata", map[string]any{"a": 1}, "idempotencyKey", "k")), token).status(201)
	txn := used.object()["transaction"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"a": 1.0, "price": "chat.token", "quantity": 1500.0}, txn["metadata"]); diff != "" || txn["amount"] != -0.003 {
		t.Errorf("charged %v: %s", txn["amount"], diff)
	}
	if again := s.send("POST", useURL, drop(by("price", "chat.token", "quantity", 1500, "metadata", map[string]any{"a": 1}, "idempotencyKey", "k")), token).status(201); again.text("message") == "" {
		t.Errorf("again: %s", again.body)
	}
	s.send("POST", "/api/v1/internal/credits/use", drop(by("price", "chat.generate", "userId", id)), asService).status(201)
	var report struct{ Usage []struct{ Key string } }
	raw := s.send("GET", "/api/v1/credits/usage?groupBy=operation", nil, token).status(200).body
	if err := json.Unmarshal([]byte(raw), &report); err != nil || len(report.Usage) != 2 || report.Usage[0].Key != "chat.generate" {
		t.Errorf("usage: %s", raw)
	}
	for name, row := range map[string]struct {
		body map[string]any
		code string
	}{
		"unknown":         {by("price", "nothing"), "PRICE_UNKNOWN"},
		"empty":           {by("price", ""), "PRICE_UNKNOWN"},
		"both":            {charge(1, "price", "chat.generate"), "PRICE_OR_AMOUNT"},
		"quantity alone":  {charge(1, "quantity", 2), "PRICE_OR_AMOUNT"},
		"no quantity":     {by("price", "chat.generate", "quantity", 0), "VALIDATION_ERROR"},
		"less":            {by("price", "chat.generate", "quantity", -1), "VALIDATION_ERROR"},
		"2^53":            {by("price", "chat.generate", "quantity", 9007199254740992), "VALIDATION_ERROR"},
		"a text":          {by("price", "chat.generate", "quantity", "NaN"), "VALIDATION_ERROR"},
		"more than all":   {by("price", "chat.generate", "quantity", 1_000_000_000), "INVALID_QUANTITY"},
		"a list of price": {by("price", []string{"chat.generate"}), "VALIDATION_ERROR"},
	} {
		if got := s.send("POST", useURL, drop(row.body), token).status(400); got.text("code") != row.code {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	s.send("POST", useURL, `{"price":"chat.generate","quantity":1e400,"appId":"a","description":"b"}`, token).status(400)
	s.send("POST", useURL, drop(by("price", "chat.generate", "quantity", 1000)), token).status(402)
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).object()["balance"]; got != 94.997 {
		t.Errorf("balance %v", got)
	}
}

// drop leaves out what is nil.
func drop(body map[string]any) map[string]any {
	for name, v := range body {
		if v == nil {
			delete(body, name)
		}
	}
	return body
}

func TestQuotes(t *testing.T) {
	t.Parallel()
	s := priced(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 12)
	const at = "/api/v1/credits/quote"
	got := s.send("POST", at, map[string]any{"price": "chat.generate", "quantity": 2}, token).status(200).object()
	if diff := cmp.Diff(map[string]any{"price": "chat.generate", "quantity": 2.0, "cost": 10.0, "balance": 12.0, "missing": 0.0, "suggestions": []any{}}, got); diff != "" {
		t.Error(diff)
	}
	got = s.send("POST", at, map[string]any{"price": "chat.generate", "quantity": 3}, token).status(200).object()
	offers, _ := got["suggestions"].([]any)
	if got["cost"] != 15.0 || got["missing"] != 3.0 || len(offers) != 1 || offers[0].(map[string]any)["suffices"] != true || offers[0].(map[string]any)["credits"] != 1000.0 {
		t.Errorf("quote: %v", got)
	}
	got = s.send("POST", at, map[string]any{"amount": 5000, "userId": id}, asService).status(200).object()
	offers, _ = got["suggestions"].([]any)
	if got["price"] != nil || got["quantity"] != nil || got["missing"] != 4988.0 || len(offers) != 1 || offers[0].(map[string]any)["suffices"] != false {
		t.Errorf("quote of an amount: %v", got)
	}
	s.send("POST", at, map[string]any{}, token).status(400)
	s.send("POST", at, map[string]any{"price": "nothing"}, token).status(400)
	s.send("POST", at, map[string]any{"amount": 1, "organizationId": "nothing"}, token).status(403)
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).object()["balance"]; got != 12.0 {
		t.Errorf("a quote costs: %v", got)
	}
}

func TestBalanceWithWhatItIsMadeOf(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 12)
	const at = "/api/v1/credits/balance"
	plain := s.send("GET", at, nil, token).status(200).object()
	if diff := cmp.Diff(map[string]any{"balance": 12.0, "debt": 0.0, "totalEarned": 12.0, "totalSpent": 0.0, "userId": id}, plain); diff != "" {
		t.Error(diff)
	}
	got := s.send("GET", at+"?include=lots,held", nil, token).status(200).object()
	lots, _ := got["lots"].([]any)
	if got["held"] != 0.0 || len(lots) != 1 || lots[0].(map[string]any)["remaining"] != 12.0 || lots[0].(map[string]any)["source"] != "admin" || lots[0].(map[string]any)["expiresAt"] != nil {
		t.Errorf("with all: %v", got)
	}
	s.send("GET", at+"?include=everything", nil, token).status(400)
}

// A charge by a price costs a subscriber what the plan says, and the list says so to all.
func TestPricesForSubscribers(t *testing.T) {
	t.Parallel()
	s := priced(t)
	s.Ledger = creditcore.New(creditcore.Config{Prices: creditcore.NewPrices(creditcore.Price{
		Name: "chat", Credits: 5000, Per: 1, Unit: "answers", Tiers: []creditcore.Tier{{Above: 10, Credits: 4000}},
		Plans: []creditcore.PlanPrice{{Plan: "pro", Credits: 3000, Tiers: []creditcore.Tier{{Above: 2, Credits: 1000}}}, {Plan: "team", Credits: 1}},
	})}, creditcore.Deps{Pool: s.db.Pool})
	want := `{"prices":[{"name":"chat","credits":5,"per":1,"unit":"answers","tiers":[{"above":10,"credits":4}],` +
		`"plans":[{"plan":"pro","credits":3,"tiers":[{"above":2,"credits":1}]},{"plan":"team","credits":0.001}],"version":0}]}`
	if got := s.send("GET", "/api/v1/credits/prices", nil).status(200).body; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	ada, adaToken := s.member("ada@example.test")
	bob, bobToken := s.member("bob@example.test")
	s.exec(`INSERT INTO subscriptions.plans (id, name) VALUES ('p', 'Pro')`)
	s.exec(`INSERT INTO subscriptions.subscriptions (user_id, plan_id) VALUES ($1, 'p')`, ada)
	for _, who := range []struct {
		id        string
		token     header
		one, many float64
	}{{ada, adaToken, 3, 16}, {bob, bobToken, 5, 58}} {
		s.grant(who.id, 100)
		if got := s.send("POST", "/api/v1/credits/quote", map[string]any{"price": "chat", "quantity": 12}, who.token).status(200).object()["cost"]; got != who.many {
			t.Errorf("quoted %v, want %v", got, who.many)
		}
		if got := s.send("POST", "/api/v1/credits/quote", map[string]any{"price": "chat", "userId": who.id}, asService).status(200).object()["cost"]; got != who.one {
			t.Errorf("quoted to a back end %v, want %v", got, who.one)
		}
		used := s.send("POST", "/api/v1/internal/credits/use", drop(charge(nil, "price", "chat", "userId", who.id, "idempotencyKey", "k"+who.id)), asService).status(201).object()["transaction"].(map[string]any)
		plan := used["metadata"].(map[string]any)["pricePlan"]
		if used["amount"] != -who.one || (plan == "pro") != (who.id == ada) {
			t.Errorf("charged %v, of the plan %v", used["amount"], plan)
		}
	}
	s.exec(`UPDATE subscriptions.subscriptions SET status = 'canceled'`)
	s.Ledger = creditcore.New(creditcore.Config{Prices: s.Ledger.ConfigPrices()}, creditcore.Deps{Pool: s.db.Pool})
	again := s.send("POST", "/api/v1/internal/credits/use", drop(charge(nil, "price", "chat", "userId", ada, "idempotencyKey", "k"+ada)), asService).status(201)
	if again.text("message") == "" {
		t.Errorf("a charge that is repeated when the plan is over: %s", again.body)
	}
	if got := s.send("POST", "/api/v1/credits/quote", map[string]any{"price": "chat"}, adaToken).status(200).object()["cost"]; got != 5.0 {
		t.Errorf("quoted without the plan %v", got)
	}
}
