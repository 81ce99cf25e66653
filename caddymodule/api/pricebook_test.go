package api_test

import (
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"testing"
	"time"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/stripetest"
)

const draftURL = "/admin/price-draft"

// What a finance person does: set a price at the desk, see what it would have made of the last
// days, publish it, see the first charges under it, and take the books of the month along.
// What was charged, what Stripe took and what the ledger has agree to the thousandth.
func TestPricesFromTheDeskToTheBooks(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	s.Ledger = creditcore.New(creditcore.Config{Prices: creditcore.NewPrices(
		creditcore.Price{Name: "chat.generate", Credits: creditcore.Credits(5), Per: 1},
		creditcore.Price{Name: "chat.token", Credits: 2, Per: 1000, Unit: "tokens"},
	)}, creditcore.Deps{Pool: s.db.Pool})
	f := finance{site: s}
	bossID, boss := s.member("boss@example.test")
	s.exec(`UPDATE auth.users SET role = 'admin' WHERE id = $1`, bossID)
	f.boss = s.cookie("boss@example.test")

	var tokens []header
	var paid int64
	for i := range 2 {
		_, token := s.member(fmt.Sprint("buyer", i, "@example.test"))
		secret := s.send("POST", buyURL, map[string]any{"packageId": packageID}, token).status(201).text("clientSecret")
		intent, _, _ := strings.Cut(secret, "_secret_")
		s.events(bank, bank.Pay(intent)...)
		paid += stripetest.Object[struct {
			AmountReceived int64 `json:"amount_received"`
		}](bank, intent).AmountReceived
		tokens = append(tokens, token)
	}
	var charged creditcore.Amount
	use := func(token header, price string, quantity any, version any, key string) {
		t.Helper()
		body := map[string]any{"price": price, "quantity": quantity, "appId": "chat", "description": "A talk"}
		if key != "" {
			body["idempotencyKey"] = key
		}
		got := s.send("POST", useURL, body, token).status(201).object()
		row, _ := got["transaction"].(map[string]any)
		noted, _ := row["metadata"].(map[string]any)
		if noted["price"] != price || noted["priceVersion"] != version {
			t.Errorf("%s by version %v: %v", price, version, noted)
		}
		if got["message"] == nil {
			cost, _ := row["amount"].(float64)
			a, err := creditcore.ParseAmount(fmt.Sprint(-cost))
			if err != nil {
				t.Fatal(err)
			}
			charged += a
		}
	}
	use(tokens[0], "chat.generate", 3, nil, "before")
	use(tokens[1], "chat.token", 1500, nil, "")

	// A draft begins with what is in force; what is wrong with it is told, and nothing is lost.
	if page := s.send("GET", draftURL, nil, f.boss).status(200).body; !strings.Contains(page, "chat.generate 5\nchat.token 0.002 per 1000 tokens\n") {
		t.Errorf("a draft: %s", page)
	}
	table := "chat.generate 7.125\r\nchat.token 0.003 per 1000 tokens\r\nfilm 1 per minute"
	rehearsed := s.post(draftURL, f.boss, "action", "rehearsePrices", "table", table, "days", "7", "by", "user").status(200).body
	for _, want := range []string{"buyer0@example.test", "15</span>", "21.375</span>", "6.375</span>", "7.125", html.EscapeString(table), `value="publishPrices"`} {
		if !strings.Contains(rehearsed, want) {
			t.Errorf("no %q in the rehearsal: %s", want, rehearsed)
		}
	}
	for _, wrong := range []string{"chat.generate 1e400", "chat.generate 0", "chat.generate -1", "chat.generate NaN", "chat.generate 9007199254740992", "chat.generate 5\nchat.generate 6", "{env.HOME}", ""} {
		for _, action := range []string{"rehearsePrices", "publishPrices"} {
			code := 200
			if action == "publishPrices" {
				code = 400
			}
			got := s.post(draftURL, f.boss, "action", action, "table", wrong, "key", "0", "reason", "a new year").status(code).body
			if !strings.Contains(got, `<div class="error" role="alert"><ul>`) || !strings.Contains(got, html.EscapeString(wrong)+"</textarea>") || strings.Contains(got, `value="publishPrices"`) {
				t.Errorf("%s of %q: %s", action, wrong, got)
			}
		}
	}
	for _, when := range []string{"2020-01-01T00:00", "soon", "2027-13-01T00:00"} {
		if got := s.post(draftURL, f.boss, "action", "publishPrices", "table", table, "key", "0", "reason", "a new year", "effective", when).status(400).body; !strings.Contains(got, "must be one to come") || !strings.Contains(got, html.EscapeString(table)) {
			t.Errorf("%s: %s", when, got)
		}
	}
	for _, key := range []string{"1", "-1", "", "x"} {
		s.post(draftURL, f.boss, "action", "publishPrices", "table", table, "key", key, "reason", "a new year").status(409)
	}
	if got := s.send("GET", "/api/v1/credits/prices", nil).status(200).body; strings.Contains(got, "7.125") {
		t.Errorf("a rehearsal publishes: %s", got)
	}

	if to := s.post(draftURL, f.boss, "action", "publishPrices", "table", table, "key", "0", "reason", "a new year").status(303).header.Get("Location"); to != "/admin/prices?done=desk-prices-published" {
		t.Errorf("published, and led to %s", to)
	}
	s.wantAdminAction(boss, "prices_published", "", "a new year")
	use(tokens[0], "chat.generate", 3, nil, "before") // what was charged stays what it was
	use(tokens[0], "chat.generate", 2, 1.0, "")
	use(tokens[1], "chat.token", 1500, 1.0, "")
	use(tokens[1], "film", 0.5, 1.0, "")
	if want := creditcore.Amount(15_000 + 3 + 14_250 + 5 + 500); charged != want {
		t.Errorf("charged %s, want %s", charged, want)
	}
	if got := s.send("POST", "/api/v1/credits/quote", map[string]any{"price": "chat.generate", "quantity": 2}, tokens[0]).status(200).object()["cost"]; got != 14.25 {
		t.Errorf("a quote: %v", got)
	}
	if got := s.send("GET", "/api/v1/credits/prices", nil).status(200).body; !strings.Contains(got, `{"name":"chat.generate","credits":7.125,"per":1,"unit":"","version":1}`) {
		t.Errorf("the list: %s", got)
	}
	batch := s.send("POST", useURL+"/batch", map[string]any{"items": []any{
		map[string]any{"price": "film", "quantity": 2, "appId": "chat", "description": "Films", "idempotencyKey": "b1"},
	}}, tokens[1]).status(200).body
	if charged += 2000; !strings.Contains(batch, `"priceVersion":1`) || !strings.Contains(batch, `"amount":-2`) {
		t.Errorf("a batch: %s", batch)
	}

	// A version to come is shown, is not in force, and is withdrawn.
	later := time.Now().UTC().AddDate(0, 0, 2).Format("2006-01-02T15:04")
	s.post(draftURL, f.boss, "action", "publishPrices", "table", "chat.generate 9", "key", "1", "reason", "in two days", "effective", later).status(303)
	english := with("Accept-Language", "en")
	if page := s.send("GET", "/admin/prices", nil, f.boss, english).status(200).body; !strings.Contains(page, "to come") || !strings.Contains(page, "in two days") || !strings.Contains(page, "in force") {
		t.Errorf("the versions: %s", page)
	}
	s.post("/admin/prices/1", f.boss, "action", "withdrawPrices", "reason", "a mistake").status(409)
	s.post("/admin/prices/3", f.boss, "action", "withdrawPrices", "reason", "a mistake").status(404)
	s.post("/admin/prices/2", f.boss, "action", "withdrawPrices", "reason", "a mistake").status(303)
	s.post("/admin/prices/2", f.boss, "action", "withdrawPrices", "reason", "a mistake").status(409)
	s.wantAdminAction(boss, "prices_withdrawn", "", "a mistake")
	if page := s.send("GET", "/admin/prices/2", nil, f.boss, english).status(200).body; !strings.Contains(page, "a mistake") || strings.Contains(page, `value="withdrawPrices"`) {
		t.Errorf("a version that is withdrawn: %s", page)
	}
	for _, id := range []string{"0", "-1", "x", "01", "9223372036854775807", "9007199254740992", "99999999999999999999"} {
		s.send("GET", "/admin/prices/"+id, nil, f.boss).status(404)
	}

	// The day may change meanwhile: the books are those of two months at most.
	now := time.Now().UTC()
	query := "?from=" + now.AddDate(0, 0, -1).Format(time.DateOnly) + "&to=" + now.AddDate(0, 0, 1).Format(time.DateOnly)
	days, deferred := f.books("days", query), f.books("deferred", "")
	sold, used, closing := f.total(days, "purchases"), f.total(days, "usage"), f.total(days[len(days)-1:], "closing")
	if sold != creditcore.Credits(2000) || paid != 2*999 || used != -charged || closing != sold-charged || f.total(deferred, "left") != closing {
		t.Errorf("Stripe took %d cents for %s; charged %s, the books say %s, and %s are left, of which %s are paid for", paid, sold, charged, used, closing, f.total(deferred, "left"))
	}
	var milliCents int64 // of what is deferred, by what Stripe took for each credit
	for _, line := range deferred {
		milliCents += int64(f.total([]map[string]string{line}, "left")) * 999 * 1000 / int64(creditcore.Credits(1000))
	}
	if got := int64(f.total(deferred, "euros")) * 100; got-milliCents > 200 || milliCents-got > 200 { // books round each line to a thousandth of a cent, total to a tenth of one
		t.Errorf("%d thousandths of a cent are deferred, want %d", got, milliCents)
	}
	report, err := s.Ledger.Audit(t.Context())
	if err != nil || len(report.Breaches) > 0 {
		t.Errorf("the audit: %+v, %v", report, err)
	}
}

// A version without a price that routes of this edge name is not published, and says which.
func TestPricesOfRoutesArePublished(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(_ *api.Config, deps *api.Deps) {
		deps.PricesNamed = func() []string { return []string{"film", "song"} }
	})
	id, _ := s.member("boss@example.test")
	s.exec(`UPDATE auth.users SET role = 'admin' WHERE id = $1`, id)
	boss := s.cookie("boss@example.test")
	publish := func(table, key string, code int) string {
		t.Helper()
		return s.post(draftURL, boss, "action", "publishPrices", "table", table, "key", key, "reason", "because").status(code).body
	}
	if got := publish("film 1", "0", 400); !strings.Contains(got, "song") {
		t.Errorf("without one: %s", got)
	}
	publish("film 1\nsong 2", "0", 303)
	publish("song 2", "1", 400)
	var list struct{ Prices []struct{ Name string } }
	if raw := s.send("GET", "/api/v1/credits/prices", nil).status(200).body; json.Unmarshal([]byte(raw), &list) != nil || len(list.Prices) != 2 {
		t.Errorf("in force: %s", raw)
	}
}
