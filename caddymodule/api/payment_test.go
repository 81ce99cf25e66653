package api_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/stripetest"
)

const (
	packagesURL = "/api/v1/credits/packages"
	buyURL      = "/api/v1/credits/purchase"
	linkURL     = "/api/v1/credits/payment-link"
	webhookURL  = "/api/v1/webhooks/stripe"
)

// storefront is a site with a package for sale and a Stripe to pay at.
func storefront(t *testing.T) (s *site, bank *stripetest.Server, packageID string) {
	t.Helper()
	bank = stripetest.New(t)
	s = newShop(t, billing.Config{
		SecretKey: bank.Key, APIURL: bank.URL, WebhookSecrets: []string{bank.WebhookSecret}, BaseURL: base,
		ReturnURL: func(raw string) bool {
			return strings.HasPrefix(raw, app+"/") || strings.HasPrefix(raw, "http://localhost:5173")
		},
		Packages: []catalog.PackageSeed{{Name: "Large", Description: "A lot", Credits: creditcore.Credits(1000), PriceEuroCents: 999}},
	})
	if err := s.Billing.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, bank, onSale(t, s)
}

func onSale(t *testing.T, s *site) string {
	t.Helper()
	list, err := s.Billing.Packages(t.Context())
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	return list[0].ID
}

// events posts events to the webhook, signed.
func (s *site) events(bank *stripetest.Server, events ...stripetest.Event) {
	s.Helper()
	err := bank.Deliver(func(payload []byte, signature string) error {
		s.send("POST", webhookURL, string(payload), with("Stripe-Signature", signature)).status(200)
		return nil
	}, events...)
	if err != nil {
		s.Fatal(err)
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	s, _, id := storefront(t)
	got := s.send("GET", packagesURL, nil).status(200).body
	p, err := s.Billing.Packages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
	want := fmt.Sprintf(`[{"id":"%s","name":"Large","description":"A lot","credits":1000,"priceEuroCents":999,"stripePriceId":null,`+
		`"active":true,"sortOrder":0,"metadata":null,"createdAt":"%s","updatedAt":"%s"}]`, id, at(p[0].CreatedAt), at(p[0].UpdatedAt))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := newSite(t).send("GET", packagesURL, nil).status(200).body; got != "[]" {
		t.Errorf("nothing for sale: %s", got)
	}
}

func TestPurchase(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	userID, token := s.member("ada@example.test")
	body := map[string]any{"packageId": packageID, "metadata": map[string]any{"a": 1}}
	begun := s.send("POST", buyURL, body, token, with("Idempotency-Key", "k")).status(201)
	purchaseID, secret := begun.text("purchaseId"), begun.text("clientSecret")
	if diff := cmp.Diff(map[string]any{"purchaseId": purchaseID, "clientSecret": secret, "amount": 999.0, "credits": 1000.0}, begun.object()); diff != "" {
		t.Error(diff)
	}
	again := s.send("POST", buyURL, body, token, with("Idempotency-Key", "k")).status(201)
	if again.body != begun.body || again.header.Get("Idempotency-Replayed") != "true" || begun.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("again: %v %s", again.header, again.body)
	}
	s.send("POST", linkURL, map[string]any{"packageId": packageID}, token, with("Idempotency-Key", "k")).status(422)

	one := "/api/v1/credits/purchase/" + purchaseID
	before := s.send("GET", one, nil, token).status(200).object()
	if diff := cmp.Diff(map[string]any{
		"id": purchaseID, "status": "pending", "credits": 1000.0, "priceEuroCents": 999.0,
		"createdAt": before["createdAt"], "completedAt": nil,
	}, before); diff != "" {
		t.Error(diff)
	}
	intentID, _, _ := strings.Cut(secret, "_secret_")
	s.events(bank, bank.Pay(intentID)...)
	if after := s.send("GET", one, nil, token).status(200).object(); after["status"] != "completed" || after["completedAt"] == nil {
		t.Errorf("after: %v", after)
	}
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()["balance"]; got != 1000.0 {
		t.Errorf("balance %v", got)
	}
	intent := stripetest.Object[stripe.PaymentIntent](bank, intentID)
	list := s.send("GET", "/api/v1/credits/purchases", nil, token).status(200).body
	for _, part := range []string{
		`[{"id":"` + purchaseID + `","userId":"` + userID + `","packageId":"` + packageID + `","credits":1000,"priceEuroCents":999,` +
			`"stripePaymentIntentId":"` + intentID + `","stripeCustomerId":"` + intent.Customer.ID + `","status":"completed","metadata":null,"createdAt":"`,
		`"completedAt":"`,
	} {
		if !strings.Contains(list, part) {
			t.Errorf("%s\nlacks %s", list, part)
		}
	}

	_, stranger := s.member("bob@example.test")
	if got := s.send("GET", "/api/v1/credits/purchases", nil, stranger).status(200).body; got != "[]" {
		t.Errorf("bob: %s", got)
	}
	for _, path := range []string{one, "/api/v1/credits/purchase/x", "/api/v1/credits/purchase/6f1a3c52-1d3e-4f0a-9b1e-000000000009"} {
		s.send("GET", path, nil, stranger).status(404).message("Purchase not found")
	}
	for _, path := range []string{one, "/api/v1/credits/purchases"} {
		s.send("GET", path, nil).status(401).message("No token provided")
	}
}

func TestPaymentLinkByAPI(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	_, token := s.member("ada@example.test")
	for _, back := range []string{app + "/done", "http://localhost:5173/done"} {
		link := s.send("POST", linkURL, map[string]any{"packageId": packageID, "successUrl": back, "cancelUrl": back, "roomId": "!r"}, token).status(201)
		got := link.object()
		if diff := cmp.Diff(map[string]any{
			"url": got["url"], "purchaseId": got["purchaseId"], "expiresAt": got["expiresAt"],
			"package": map[string]any{"name": "Large", "credits": 1000.0, "priceEuroCents": 999.0},
		}, got); diff != "" || !strings.HasPrefix(link.text("url"), "http") {
			t.Errorf("%s\n%s", link.body, diff)
		}
		expires, err := time.Parse("2006-01-02T15:04:05.000Z", link.text("expiresAt"))
		if err != nil || time.Until(expires) < 23*time.Hour || time.Until(expires) > 24*time.Hour {
			t.Errorf("expires %s, %v", link.text("expiresAt"), err)
		}
	}
	for session, err := range bank.Client().V1CheckoutSessions.List(t.Context(), nil).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s.events(bank, bank.Pay(session.ID)...)
	}
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()["balance"]; got != 2000.0 {
		t.Errorf("balance %v", got)
	}
}

// A purchase with a way back is paid for on a page of Stripe, and on that alone.
func TestPurchaseOnAPageOfStripe(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	_, token := s.member("ada@example.test")
	body := map[string]any{"packageId": packageID, "successUrl": app + "/done", "cancelUrl": app + "/back", "idempotencyKey": "k"}
	bought := s.send("POST", buyURL, body, token).status(201)
	got := bought.object()
	if got["amount"] != 999.0 || got["credits"] != 1000.0 || got["clientSecret"] != "" || !strings.HasPrefix(bought.text("checkoutUrl"), "http") {
		t.Errorf("bought: %s", bought.body)
	}
	if again := s.send("POST", buyURL, body, token).status(201); again.text("checkoutUrl") != bought.text("checkoutUrl") || again.text("purchaseId") != bought.text("purchaseId") {
		t.Errorf("again: %s", again.body)
	}
	s.send("POST", buyURL, map[string]any{"packageId": packageID, "successUrl": foreign}, token).status(400)
	for session, err := range bank.Client().V1CheckoutSessions.List(t.Context(), nil).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s.events(bank, bank.Pay(session.ID)...)
	}
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()["balance"]; got != 1000.0 {
		t.Errorf("balance %v", got)
	}
	if plain := s.send("POST", buyURL, map[string]any{"packageId": packageID}, token).status(201); plain.text("clientSecret") == "" || plain.object()["checkoutUrl"] != nil {
		t.Errorf("without a way back: %s", plain.body)
	}
}

func TestPaymentRefusals(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	_, token := s.member("ada@example.test")
	unknown := "6f1a3c52-1d3e-4f0a-9b1e-000000000009"
	for _, path := range []string{buyURL, linkURL} {
		s.send("POST", path, map[string]any{"packageId": packageID}).status(401).message("No token provided")
		s.send("POST", path, nil, token).status(400).message("packageId must be a UUID")
		s.send("POST", path, map[string]any{"packageId": "x", "foo": 1}, token).status(400).
			message("property foo should not exist", "packageId must be a UUID")
		s.send("POST", path, map[string]any{"packageId": unknown}, token).status(404).message("Package not found or inactive")
	}
	link := func(success, cancel any) answer {
		return s.send("POST", linkURL, map[string]any{"packageId": packageID, "successUrl": success, "cancelUrl": cancel}, token)
	}
	link("http://localhost:3000", nil).status(400).message("successUrl must be a URL address")
	link("other://done", "x y").status(400).message("successUrl must be a URL address", "cancelUrl must be a URL address")
	link(foreign+"/", nil).status(400).message("successUrl is not a trusted origin")
	link(nil, "https://evil.example.com/a").status(400).message("cancelUrl is not a trusted origin")
	link("mana.how/x", nil).status(400).message("successUrl is not a trusted origin")

	bank.FailNext("POST", "/v1/customers", 500, 1)
	s.send("POST", buyURL, map[string]any{"packageId": packageID}, token).status(503)
	bare := newSite(t)
	_, token = bare.member("ada@example.test")
	for _, path := range []string{buyURL, linkURL} {
		bare.send("POST", path, map[string]any{"packageId": unknown}, token).status(503).message("Stripe is not configured")
	}
}

// Purchases that nobody pays for are bounded, and the refusal says when to come again.
func TestTooManyOpenPurchases(t *testing.T) {
	t.Parallel()
	s, _, packageID := storefront(t)
	_, token := s.member("ada@example.test")
	body := map[string]any{"packageId": packageID}
	for i := range 10 {
		s.send("POST", []string{buyURL, linkURL}[i%2], body, token).status(201)
	}
	for _, url := range []string{buyURL, linkURL} {
		refused := s.send("POST", url, body, token).status(429).message("Too many open purchases: rate limit exceeded, pay for one or try again later")
		wait, err := strconv.Atoi(refused.header.Get("Retry-After"))
		if refused.object()["code"] != "TOO_MANY_OPEN_PURCHASES" || err != nil || wait < 1 || wait > 3600 {
			t.Errorf("%s, Retry-After %q", refused.body, refused.header.Get("Retry-After"))
		}
	}
}

func TestWebhookByAPI(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	_, token := s.member("ada@example.test")
	begun := s.send("POST", buyURL, map[string]any{"packageId": packageID}, token).status(201)
	intentID, _, _ := strings.Cut(begun.text("clientSecret"), "_secret_")
	for _, e := range bank.Pay(intentID) {
		payload, signature := bank.Payload(e)
		signed := with("Stripe-Signature", signature)
		for _, path := range []string{webhookURL, "/webhooks/stripe"} {
			s.send("POST", path, "", signed).status(400).message("Missing raw body")
			s.send("POST", path, string(payload), signed, asForm).status(400).message("Missing raw body")
			s.send("POST", path, string(payload)).status(400).message("Missing stripe-signature header")
			s.send("POST", path, string(payload)+" ", signed).status(400).message("Invalid webhook signature")
			s.send("POST", path, string(payload), with("Stripe-Signature", "v1")).status(400).message("Invalid webhook signature")
			s.send("POST", path, strings.Repeat(" ", 1<<20+1), signed).status(413)
			if got := s.send("POST", path, string(payload), signed).status(200).body; got != `{"received":true}` {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
	big := `{"id":"evt_big","object":"event","type":"product.created","data":{"object":{"a":"` + strings.Repeat("a", 1<<19) + `"}}}`
	now := time.Now()
	header := fmt.Sprintf("t=%d,v1=%x", now.Unix(), webhook.ComputeSignature(now, []byte(big), bank.WebhookSecret))
	s.send("POST", webhookURL, big, with("Stripe-Signature", header)).status(200)
	live := strings.Replace(big, `"object":"event"`, `"object":"event","livemode":true`, 1)
	header = fmt.Sprintf("t=%d,v1=%x", now.Unix(), webhook.ComputeSignature(now, []byte(live), bank.WebhookSecret))
	s.send("POST", webhookURL, live, with("Stripe-Signature", header)).status(400).message("Webhook event of the wrong mode")

	s.send("GET", webhookURL, nil).status(405)
	newSite(t).send("POST", webhookURL, "{}", with("Stripe-Signature", "t=1,v1=00")).status(400).message("Invalid webhook signature")
	if n, err := dbscope.Row[struct{ N int64 }](context.Background(), s.db.Pool, dbscope.System(),
		`SELECT count(*) AS n FROM credits.transactions`); n.N != 1 || err != nil {
		t.Errorf("%d ledger rows, %v", n.N, err)
	}
}

// Without the database there is an answer, and Stripe comes again.
func TestWebhookWithoutDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(_ *api.Config, d *api.Deps) {
		d.Credits = func(context.Context) (*api.Credits, error) { return nil, context.DeadlineExceeded }
	})
	s.send("POST", webhookURL, "{}", with("Stripe-Signature", "t=1,v1=00")).status(503)
}
