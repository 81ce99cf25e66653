package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/stripetest"
)

const (
	topUpURL  = "/api/v1/credits/auto-top-up"
	topUpPage = "/account/credits/auto-top-up"
)

// pump is a site that sells a package, whose pages Stripe may lead back to.
func pump(t *testing.T) (s *site, bank *stripetest.Server, packageID string) {
	t.Helper()
	bank = stripetest.New(t)
	s = newShop(t, billing.Config{
		SecretKey: bank.Key, APIURL: bank.URL, WebhookSecrets: []string{bank.WebhookSecret}, BaseURL: base,
		ReturnURL: func(raw string) bool { return strings.HasPrefix(raw, base+"/") || strings.HasPrefix(raw, app+"/") },
		Packages:  []catalog.PackageSeed{{Name: "Large", Credits: creditcore.Credits(1000), PriceEuroCents: 999}},
	})
	if err := s.Billing.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, bank, onSale(t, s)
}

// forgetProof lets the time go by after which a proof is not recent.
func (s *site) forgetProof(userID string) {
	s.Helper()
	s.exec(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 day' WHERE user_id = $1`, userID)
}

// happened is how often an event is on record for a user.
func (s *site) happened(userID, event string) int64 {
	s.Helper()
	r, err := dbscope.Row[struct{ N int64 }](s.Context(), s.db.Pool, dbscope.System(),
		`SELECT count(*) AS n FROM auth.security_events WHERE user_id = $1 AND event_type = $2`, userID, event)
	if err != nil {
		s.Fatal(err)
	}
	return r.N
}

// sessionIn is the checkout session of a page of Stripe.
func sessionIn(page string) string { return page[strings.LastIndex(page, "cs_test"):] }

func TestTopUpRoutes(t *testing.T) {
	t.Parallel()
	s, bank, packageID := pump(t)
	ada, _, token := s.person("ada@example.test")
	bob, _, other := s.person("bob@example.test")
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m1', 'acme', $1, 'owner'), ('m2', 'acme', $2, 'member')`, ada, bob)
	s.grant(ada, 700)

	off := `{"enabled":false,"threshold":null,"packageId":null,"priceEuroCents":null,"monthlyCapEuroCents":null,"spentEuroCents":0,"card":null,"offReason":null,"running":null}`
	if got := s.send("GET", topUpURL, nil, token).status(200).body; got != off {
		t.Errorf("at first: %s", got)
	}
	for _, row := range []struct{ method, path string }{{"GET", topUpURL}, {"PUT", topUpURL}, {"POST", topUpURL + "/card"}, {"DELETE", topUpURL + "/card"}, {"POST", topUpURL + "/confirm"}} {
		s.send(row.method, row.path, nil).status(401)
	}
	on := map[string]any{"enabled": true, "threshold": 300, "packageId": packageID, "monthlyCapEuroCents": 5000, "consent": true}
	code := func(what, want string, status int, body any, headers ...header) {
		t.Helper()
		if got := s.send("PUT", topUpURL, body, append(headers, token)...).status(status).text("code"); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	code("no card", "CARD_REQUIRED", 409, on)
	for body, field := range map[string]string{
		`{}`: "enabled", `{"enabled":1.5}`: "enabled", `{"enabled":true,"threshold":-1}`: "threshold", `{"enabled":true,"monthlyCapEuroCents":1.5}`: "monthlyCapEuroCents",
		`{"enabled":true,"packageId":"x"}`: "packageId", `{"enabled":true,"cap":1}`: "cap",
	} {
		if got := s.send("PUT", topUpURL, body, token).status(400); !strings.Contains(got.body, field) {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	s.send("POST", topUpURL+"/card", map[string]any{"successUrl": "https://evil.test/"}, token).status(400).message("successUrl is not a trusted origin")
	s.send("POST", topUpURL+"/confirm", map[string]any{"returnUrl": "https://evil.test/"}, token).status(400).message("returnUrl is not a trusted origin")
	card := s.send("POST", topUpURL+"/card", map[string]any{"successUrl": app + "/done"}, token).status(200).text("url")
	events := bank.Pay(sessionIn(card))
	s.events(bank, events...)

	but := func(field string, value any) map[string]any {
		changed := map[string]any{}
		for k, v := range on {
			changed[k] = v
		}
		changed[field] = value
		return changed
	}
	code("no consent", "CONSENT_REQUIRED", 400, but("consent", false))
	code("high threshold", "TOP_UP_THRESHOLD", 400, but("threshold", 1001))
	code("small cap", "TOP_UP_CAP", 400, but("monthlyCapEuroCents", 998))
	code("no package", "PACKAGE_NOT_FOUND", 404, but("packageId", "6f1a3c52-1d3e-4f0a-9b1e-000000000009"))
	s.forgetProof(ada)
	code("no proof", "REAUTHENTICATION_REQUIRED", 403, on)
	s.exec(`UPDATE auth.sessions SET authenticated_at = now()`)
	got := s.send("PUT", topUpURL, on, token).status(200)
	want := `{"enabled":true,"threshold":300,"packageId":"` + packageID + `","priceEuroCents":999,"monthlyCapEuroCents":5000,"spentEuroCents":0,"card":{"brand":"visa","last4":"4242","expMonth":12,"expYear":`
	exported := s.send("GET", "/api/v1/me/data/export", nil, token).status(200).object()["automaticTopUp"].(map[string]any)
	if exported["enabled"] != true || exported["threshold"] != 300.0 || exported["monthlyCapEuroCents"] != 5000.0 || exported["card"].(map[string]any)["last4"] != "4242" {
		t.Errorf("exported %v", exported)
	}
	if exported := s.send("GET", "/api/v1/me/data/export", nil, other).status(200).object()["automaticTopUp"]; exported != nil {
		t.Errorf("of who never agreed to any is exported %v", exported)
	}
	if !strings.HasPrefix(got.body, want) {
		t.Errorf("got %s\nwant %s", got.body, want)
	}
	// Less may be charged without a proof, more may not, and off is always possible.
	s.forgetProof(ada)
	s.send("PUT", topUpURL, but("monthlyCapEuroCents", 999), token).status(200)
	code("raised", "REAUTHENTICATION_REQUIRED", 403, but("monthlyCapEuroCents", 1998))
	if got := s.send("PUT", settingsURL, `{"lowBalance":900}`, token).status(409).text("code"); got != "AUTO_TOP_UP_ON" {
		t.Errorf("the threshold elsewhere: %s", got)
	}

	bank.CardIs(events.Object("payment_method"), stripetest.Authenticates)
	s.spend(ada, creditcore.Debit{Amount: creditcore.Credits(500), AppID: "chat"})
	if err := s.Billing.TopUpDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.send("GET", topUpURL, nil, token).status(200).body; !strings.Contains(got, `"running":{"confirm":true,"reason":null,"priceEuroCents":999}`) {
		t.Errorf("to be confirmed: %s", got)
	}
	page := s.send("POST", topUpURL+"/confirm", nil, token).status(200).text("url")
	intent := page[strings.LastIndex(page, "pi_"):]
	s.events(bank, bank.Authenticate(intent)...)
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()["balance"]; got != 1200.0 {
		t.Errorf("balance %v", got)
	}
	s.send("POST", topUpURL+"/confirm", nil, token).status(409).message("No payment waits to be confirmed")

	// Nobody else sees or changes it, and of an organisation owners and admins do.
	if got := s.send("GET", topUpURL, nil, other).status(200).body; got != off {
		t.Errorf("bob has %s", got)
	}
	s.send("GET", topUpURL+"?organizationId=acme", nil, token).status(200)
	s.send("GET", topUpURL+"?organizationId=acme", nil, other).status(403)
	s.send("PUT", topUpURL, `{"enabled":false,"organizationId":"acme"}`, other).status(403)
	s.send("POST", topUpURL+"/card", `{"organizationId":"acme"}`, other).status(403)
	s.send("POST", topUpURL+"/card", `{"organizationId":"other"}`, token).status(404)

	if got := s.send("DELETE", topUpURL+"/card", nil, token).status(200).body; !strings.Contains(got, `"enabled":false`) || !strings.Contains(got, `"card":null`) {
		t.Errorf("without a card: %s", got)
	}
	s.send("PUT", topUpURL, `{"enabled":false}`, token).status(200)
	for event, n := range map[string]int64{"top_up_changed": 3, "top_up_card_removed": 1} {
		if got := s.happened(ada, event); got != n {
			t.Errorf("%d events %s, want %d", got, event, n)
		}
	}
}

func TestTopUpPage(t *testing.T) {
	t.Parallel()
	s, bank, packageID := pump(t)
	ada, cookie, _ := s.person("ada@example.test")
	s.grant(ada, 700)
	if to := s.send("GET", topUpPage, nil).status(303).header.Get("Location"); !strings.HasPrefix(to, "/login?") {
		t.Errorf("a guest is led to %s", to)
	}
	s.send("GET", creditsPage, nil, cookie, in("de")).status(200).wants("Automatisches Aufladen ist aus", topUpPage)
	s.send("GET", topUpPage, nil, cookie, in("en")).status(200).wants("No card is saved", "Save a card").lacks(`name="threshold"`)
	saved := s.form(topUpPage, url.Values{"action": {"card"}}, cookie).status(200)
	session := sessionIn(strings.TrimPrefix(saved.header.Get("Refresh"), "0;url="))
	bank.Pay(session)
	s.send("GET", topUpPage+"?session="+session, nil, cookie, in("en")).status(200).wants("Visa •••• 4242", `name="threshold"`, "Switch on", "I agree that")
	s.send("GET", topUpPage+"?session=cs_test_unknown", nil, cookie).status(200)

	on := url.Values{"action": {"save"}, "threshold": {"300,5"}, "package": {packageID}, "cap": {"49,99"}, "consent": {"yes"}}
	but := func(field, value string) url.Values {
		changed := url.Values{}
		for k, v := range on {
			changed[k] = v
		}
		changed.Set(field, value)
		return changed
	}
	for _, c := range []struct{ field, value, text string }{
		{"consent", "", "Please agree that the card may be charged"}, {"threshold", "many", "Please enter a number of credits"},
		{"threshold", "0", "must be above 0"}, {"cap", "1.234", "Please enter an amount in euro"}, {"cap", "-1", "Please enter an amount in euro"}, {"cap", "9", "must cover the package"},
		{"package", "", "not for sale any more"}, {"threshold", hostile, "Unknown action"}, {"cap", "1" + strings.Repeat("0", 19), "Please enter an amount in euro"},
	} {
		got := s.form(topUpPage, but(c.field, c.value), cookie, in("en"))
		if c.value == hostile {
			got.status(400)
			continue
		}
		got.wants(c.text)
	}
	s.form(topUpPage, url.Values{"action": {"rob"}}, cookie).status(400)
	s.form(topUpPage, but("organization", "other"), cookie).status(404)
	s.send("POST", topUpPage, on.Encode(), asForm, with("Origin", foreign), cookie).status(403)

	s.forgetProof(ada)
	s.send("GET", topUpPage, nil, cookie, in("en")).status(200).wants("/reauthenticate?returnUrl=").lacks(`name="threshold"`)
	if to := s.form(topUpPage, on, cookie).status(303).header.Get("Location"); to != "/reauthenticate?returnUrl=%2Faccount%2Fcredits%2Fauto-top-up" {
		t.Errorf("without a proof it leads to %s", to)
	}
	s.exec(`UPDATE auth.sessions SET authenticated_at = now()`)
	if to := s.form(topUpPage, on, cookie).status(303).header.Get("Location"); to != topUpPage+"?done=saved" {
		t.Errorf("it leads to %s", to)
	}
	s.send("GET", topUpPage+"?done=saved", nil, cookie, in("de")).status(200).wants("Gespeichert", `value="300.5"`, `value="49.99"`, "Ausschalten", "0,00\u00a0€ von 49,99\u00a0€")
	s.send("GET", creditsPage, nil, cookie, in("en")).status(200).wants("Automatic top-up is on", "Topped up and told of below").lacks(`name="lowBalance"`)
	s.form(creditsPage, url.Values{"lowBalance": {"900"}}, cookie, in("en")).status(409).wants("The threshold is that of the automatic top-up")

	method := bank.Events().Of("payment_method.attached").Object("payment_method")
	bank.CardIs(method, stripetest.Authenticates)
	s.spend(ada, creditcore.Debit{Amount: creditcore.Credits(500), AppID: "chat"})
	if err := s.Billing.TopUpDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.send("GET", creditsPage, nil, cookie, in("en")).status(200).wants("waits for you", "A payment of the top-up is to be confirmed")
	s.send("GET", topUpPage, nil, cookie, in("en")).status(200).wants("Your bank wants you to confirm this payment", "€9.99", "Confirm the payment")
	to := s.form(topUpPage, url.Values{"action": {"confirm"}}, cookie).status(200).header.Get("Refresh")
	if !strings.HasPrefix(to, "0;url=https://hooks.stripe.com/") {
		t.Errorf("leads on to %s", to)
	}
	bank.Authenticate(to[strings.LastIndex(to, "pi_"):])
	s.send("GET", topUpPage+"?payment=returned", nil, cookie, in("en")).status(200).wants("Thank you!", "€9.99 of €49.99").lacks("Confirm the payment")
	s.send("GET", creditsPage, nil, cookie, in("en")).status(200).wants("1,200", "Topped up automatically")

	if to := s.form(topUpPage, url.Values{"action": {"off"}}, cookie).status(303).header.Get("Location"); to != topUpPage+"?done=saved" {
		t.Errorf("off leads to %s", to)
	}
	if to := s.form(topUpPage, url.Values{"action": {"forget"}}, cookie).status(303).header.Get("Location"); to != topUpPage+"?done=card-removed" {
		t.Errorf("without a card it leads to %s", to)
	}
	s.form(topUpPage, on, cookie, in("en")).status(409).wants("Please save a card first")
}

// A card that pays for a package is kept where the client says so, whichever way the
// package is bought; other clients buy as ever.
func TestCardOfAPurchaseByAPI(t *testing.T) {
	t.Parallel()
	s, bank, packageID := pump(t)
	card := func(token header) any {
		t.Helper()
		return s.send("GET", topUpURL, nil, token).status(200).object()["card"]
	}
	pay := func(path string, body map[string]any, token header) {
		t.Helper()
		made := s.send("POST", path, body, token).status(201).object()
		for _, field := range []string{"url", "checkoutUrl"} {
			if page, ok := made[field].(string); ok {
				s.events(bank, bank.Pay(sessionIn(page))...)
				return
			}
		}
		intentID, _, _ := strings.Cut(made["clientSecret"].(string), "_secret_")
		s.events(bank, bank.Pay(intentID)...)
	}
	for i, c := range []struct {
		path string
		body map[string]any
		kept bool
	}{
		{buyURL, map[string]any{"saveCard": true}, true},
		{buyURL, map[string]any{"saveCard": true, "successUrl": app + "/done"}, true},
		{linkURL, map[string]any{"saveCard": true}, true},
		{buyURL, map[string]any{"saveCard": false}, false},
		{linkURL, map[string]any{"saveCard": nil}, false},
		{linkURL, map[string]any{}, false},
	} {
		_, token := s.member(string(rune('a'+i)) + "@example.test")
		c.body["packageId"] = packageID
		pay(c.path, c.body, token)
		if got := card(token); (got != nil) != c.kept {
			t.Errorf("%s %v: the card is %v", c.path, c.body, got)
		}
		if got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()["balance"]; got != 1000.0 {
			t.Errorf("%s %v: balance %v", c.path, c.body, got)
		}
	}

	ada, token := s.member("ada@example.test")
	for _, path := range []string{buyURL, linkURL} {
		if got := s.send("POST", path, map[string]any{"packageId": packageID, "saveCard": "yes"}, token).status(400); !strings.Contains(got.body, "saveCard") {
			t.Errorf("%s: %s", path, got.body)
		}
		key := with("Idempotency-Key", "k"+path)
		body := map[string]any{"packageId": packageID, "saveCard": true}
		first := s.send("POST", path, body, token, key).status(201)
		if again := s.send("POST", path, body, token, key).status(201); again.text("purchaseId") != first.text("purchaseId") || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s again: %s", path, again.body)
		}
		s.send("POST", path, map[string]any{"packageId": packageID}, token, key).status(422)
	}

	// For an organisation it is the organisation's.
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m1', 'acme', $1, 'owner')`, ada)
	pay(linkURL, map[string]any{"packageId": packageID, "saveCard": true, "organizationId": "acme"}, token)
	if got := s.send("GET", topUpURL+"?organizationId=acme", nil, token).status(200).object()["card"]; got == nil || card(token) != nil {
		t.Errorf("the organisation has %v, ada %v", got, card(token))
	}
}

// Who ticks the box in the shop comes back to the page of the top-up, which shows the card
// before Stripe's event has come.
func TestCardIsKeptInTheShop(t *testing.T) {
	t.Parallel()
	s, bank, packageID := pump(t)
	ada, cookie, _ := s.person("ada@example.test")
	shop := s.send("GET", shopPage, nil, cookie, in("en")).status(200).wants(`type="checkbox" name="saveCard"`, "Keep this card for automatic top-ups", "only once you switch automatic top-up on").lacks("checked", "in place of")
	buy := url.Values{"action": {"buy"}, "id": {packageID}, "key": {shop.hidden("key", 0)}}
	leads := func() *stripe.CheckoutSession {
		t.Helper()
		to := strings.TrimPrefix(s.form(shopPage, buy, cookie).status(200).header.Get("Refresh"), "0;url=")
		return stripetest.Object[stripe.CheckoutSession](bank, sessionIn(to))
	}
	plain := leads()
	buy.Set("saveCard", "yes") // they came back, and chose otherwise
	kept := leads()
	if again := leads(); again.ID != kept.ID || kept.ID == plain.ID {
		t.Errorf("sessions %s, %s and %s", plain.ID, kept.ID, again.ID)
	}
	if plain.SuccessURL != base+creditsPage+"?purchase=success" || kept.SuccessURL != base+topUpPage+"?purchase=success&session={CHECKOUT_SESSION_ID}" {
		t.Errorf("lead back to %s and %s", plain.SuccessURL, kept.SuccessURL)
	}
	bank.Pay(kept.ID)
	s.send("GET", topUpPage+"?purchase=success&session="+kept.ID, nil, cookie, in("en")).status(200).wants("Thank you", "Visa •••• 4242", "Switch on")
	s.send("GET", creditsPage, nil, cookie, in("en")).status(200).wants("1,000 credits")
	s.send("GET", shopPage, nil, cookie, in("de")).status(200).wants("Diese Karte für das automatische Aufladen behalten (statt Visa •••• 4242)", "erst belastet, wenn du")
	s.exec(`UPDATE credits.top_up_settings SET enabled = true, package_id = $2, price_euro_cents = 1, monthly_cap_cents = 1, agreed_at = now() WHERE account_id = $1`, ada, packageID)
	s.send("GET", shopPage, nil, cookie, in("en")).status(200).wants("Automatic top-up is on: a card that you keep")
	buy.Set("saveCard", "perhaps, or never")
	s.form(shopPage, buy, cookie).status(400)
}
