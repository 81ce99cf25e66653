package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/stripetest"
)

const (
	plansURL      = "/api/v1/subscriptions/plans"
	currentURL    = "/api/v1/subscriptions/current"
	invoicesURL   = "/api/v1/subscriptions/invoices"
	checkoutURL   = "/api/v1/subscriptions/checkout"
	portalURL     = "/api/v1/subscriptions/portal"
	cancelURL     = "/api/v1/subscriptions/cancel"
	reactivateURL = "/api/v1/subscriptions/reactivate"
)

// subscriptionShop is a site that sells the plan Plus by the month.
func subscriptionShop(t *testing.T) (s *site, bank *stripetest.Server) {
	t.Helper()
	bank = stripetest.New(t)
	bank.AddPrice("price_plus", 499, "month")
	s = newShop(t, billing.Config{
		SecretKey: bank.Key, APIURL: bank.URL, WebhookSecrets: []string{bank.WebhookSecret}, BaseURL: base,
		ReturnURL: func(raw string) bool { return strings.HasPrefix(raw, app+"/") },
		Plans:     []catalog.PlanSeed{{Name: "Plus", ProductID: "prod_plus", PriceMonthly: "price_plus"}},
	})
	if err := s.Billing.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, bank
}

func (s *site) plan(name string) catalog.Plan {
	s.Helper()
	list, err := s.Billing.Plans(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	for _, p := range list {
		if p.Name == name {
			return p
		}
	}
	s.Fatalf("no plan %s", name)
	return catalog.Plan{}
}

func wire(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func TestPlans(t *testing.T) {
	t.Parallel()
	s, _ := subscriptionShop(t)
	p := s.plan("Plus")
	want := fmt.Sprintf(`{"id":"%s","name":"Plus","description":null,"monthlyCredits":100,"priceMonthlyEuroCents":499,`+
		`"priceYearlyEuroCents":4999,"stripePriceIdMonthly":"price_plus","stripePriceIdYearly":null,"stripeProductId":"prod_plus",`+
		`"features":["100 AI-Credits pro Monat","Zugang zu allen Apps","Chat und Bilder","E-Mail-Support"],"maxTeamMembers":1,`+
		`"maxOrganizations":1,"isDefault":false,"isEnterprise":false,"active":true,"sortOrder":1,"metadata":null,`+
		`"createdAt":"%s","updatedAt":"%s"}`, p.ID, wire(p.CreatedAt), wire(p.UpdatedAt))
	if got := s.send("GET", plansURL+"/"+p.ID, nil).status(200).body; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	all := s.send("GET", plansURL, nil).status(200).body
	if !strings.Contains(all, want) || strings.Count(all, `"isDefault"`) != 4 || !strings.HasPrefix(all, `[{"id":"`+s.plan("Free").ID) {
		t.Errorf("plans: %s", all)
	}
	for _, id := range []string{"x", "00000000-0000-4000-8000-000000000000", "%27", strings.Repeat("a", 300)} {
		s.send("GET", plansURL+"/"+id, nil).status(404).message("Plan not found")
	}
	if got := newSite(t).send("GET", plansURL, nil).status(200).body; got != "[]" {
		t.Errorf("no plans: %s", got)
	}
}

func TestSubscriptionLife(t *testing.T) {
	t.Parallel()
	s, bank := subscriptionShop(t)
	id, token := s.member("ada@example.test")
	free := s.send("GET", currentURL, nil, token).status(200).object()
	if free["isFreePlan"] != true || free["subscription"] != nil || free["plan"].(map[string]any)["name"] != "Free" {
		t.Errorf("at first: %v", free)
	}
	s.send("POST", portalURL, map[string]any{"returnUrl": app + "/a"}, token).status(400).
		message("No billing account found. Please subscribe to a plan first.")
	s.send("POST", cancelURL, nil, token).status(404).message("No active subscription found")
	s.send("POST", reactivateURL, nil, token).status(404).message("No canceled subscription found")

	order := map[string]any{"planId": s.plan("Plus").ID, "successUrl": app + "/ok", "cancelUrl": app + "/no"}
	opened := s.send("POST", checkoutURL, order, token).status(201)
	sessionID := opened.text("sessionId")
	if diff := cmp.Diff(map[string]any{"sessionId": sessionID, "url": opened.text("url")}, opened.object()); diff != "" {
		t.Error(diff)
	}
	paid := bank.Pay(sessionID)
	s.events(bank, paid...)
	sub := stripetest.Object[stripe.Subscription](bank, paid.Object("subscription"))
	row, err := s.Billing.Current(t.Context(), creditcore.Caller{UserID: id, Role: "user"})
	if err != nil || row.Subscription == nil {
		t.Fatalf("%+v, %v", row, err)
	}
	now := s.send("GET", currentURL, nil, token).status(200).object()
	if diff := cmp.Diff(map[string]any{
		"id": row.Subscription.ID, "userId": id, "planId": s.plan("Plus").ID, "stripeSubscriptionId": sub.ID,
		"stripeCustomerId": sub.Customer.ID, "stripePriceId": "price_plus", "status": "active", "billingInterval": "month",
		"currentPeriodStart": wire(*row.Subscription.CurrentPeriodStart), "currentPeriodEnd": wire(*row.Subscription.CurrentPeriodEnd),
		"cancelAtPeriodEnd": false, "canceledAt": nil, "endedAt": nil, "trialStart": nil, "trialEnd": nil,
		"metadata":  map[string]any{"userId": id, "planId": s.plan("Plus").ID},
		"createdAt": wire(row.Subscription.CreatedAt), "updatedAt": wire(row.Subscription.UpdatedAt),
	}, now["subscription"]); diff != "" || now["isFreePlan"] != false || now["plan"].(map[string]any)["name"] != "Plus" {
		t.Errorf("current: %v\n%s", now, diff)
	}
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()["balance"]; got != 100.0 {
		t.Errorf("balance %v", got)
	}
	s.send("POST", checkoutURL, order, token).status(409).message("You already have a subscription. Manage it in the billing portal.")
	s.send("POST", portalURL, map[string]any{"returnUrl": app + "/a"}, token).status(201).text("url")

	s.send("POST", reactivateURL, nil, token).status(404).message("No canceled subscription found")
	if got := s.send("POST", cancelURL, nil, token).status(201).body; got != `{"success":true,"cancelAtPeriodEnd":true}` {
		t.Errorf("cancel: %s", got)
	}
	if got := s.send("POST", reactivateURL, nil, token).status(201).body; got != `{"success":true}` {
		t.Errorf("reactivate: %s", got)
	}
	bank.FailNext(http.MethodPost, "/v1/subscriptions/", 402, 1)
	if a := s.send("POST", cancelURL, nil, token).status(500); a.text("code") != "PAYMENT_SERVICE_ERROR" {
		t.Errorf("refused by Stripe: %s", a.body)
	}

	for _, e := range bank.RenewSubscription(sub.ID) { // a month ahead of the site's clock
		body, signature := bank.SignedAt(e, time.Now(), bank.WebhookSecret)
		s.send("POST", webhookURL, string(body), with("Stripe-Signature", signature)).status(200)
	}
	bills := s.send("GET", invoicesURL+"?limit=1", nil, token).status(200).body
	v, err := s.Billing.Invoices(t.Context(), creditcore.Caller{UserID: id, Role: "user"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	text := func(s *string) string {
		if s == nil {
			return "null"
		}
		return fmt.Sprintf("%q", *s)
	}
	want := fmt.Sprintf(`[{"id":"%s","userId":"%s","subscriptionId":"%s","stripeInvoiceId":"%s","stripeCustomerId":"%s","number":%s,`+
		`"status":"paid","amountDueEuroCents":499,"amountPaidEuroCents":499,"currency":"eur","hostedInvoiceUrl":%s,"invoicePdfUrl":%s,`+
		`"periodStart":"%s","periodEnd":"%s","dueDate":null,"paidAt":"%s","metadata":null,"createdAt":"%s"}]`,
		v[0].ID, id, row.Subscription.ID, v[0].StripeInvoiceID, sub.Customer.ID, text(v[0].Number), text(v[0].HostedInvoiceURL),
		text(v[0].InvoicePDFURL), wire(*v[0].PeriodStart), wire(*v[0].PeriodEnd), wire(*v[0].PaidAt), wire(v[0].CreatedAt))
	if bills != want {
		t.Errorf("got  %s\nwant %s", bills, want)
	}
	for query, n := range map[string]int{"": 2, "?limit=": 2, "?limit=-5": 1, "?limit=0": 1, "?limit=9999": 2} {
		if got := s.send("GET", invoicesURL+query, nil, token).status(200).body; strings.Count(got, `"paidAt"`) != n {
			t.Errorf("limit %q: %s", query, got)
		}
	}
	s.send("GET", invoicesURL+"?limit=many", nil, token).status(400).message("limit must be an integer number")
	_, stranger := s.member("bob@example.test")
	if got := s.send("GET", invoicesURL, nil, stranger).status(200).body; got != "[]" {
		t.Errorf("a stranger sees %s", got)
	}
}

func TestSubscriptionInput(t *testing.T) {
	t.Parallel()
	s, _ := subscriptionShop(t)
	_, token := s.member("ada@example.test")
	order := func(change map[string]any) map[string]any {
		o := map[string]any{"planId": s.plan("Plus").ID, "successUrl": app + "/ok", "cancelUrl": app + "/no"}
		for k, v := range change {
			o[k] = v
		}
		return o
	}
	for _, c := range []struct {
		path   string
		body   map[string]any
		status int
		want   []string
	}{
		{checkoutURL, order(map[string]any{"planId": "x"}), 400, []string{"planId must be a UUID"}},
		{checkoutURL, order(map[string]any{"billingInterval": "week"}), 400,
			[]string{"billingInterval must be one of the following values: month, year"}},
		{checkoutURL, order(map[string]any{"successUrl": nil, "cancelUrl": 5}), 400,
			[]string{"successUrl must be a URL address", "cancelUrl must be a URL address"}},
		{checkoutURL, order(map[string]any{"cancelUrl": foreign + "/x"}), 400, []string{"cancelUrl is not a trusted origin"}},
		{checkoutURL, order(map[string]any{"userId": "u"}), 400, []string{"property userId should not exist"}},
		{checkoutURL, order(map[string]any{"planId": "00000000-0000-4000-8000-000000000000"}), 404, []string{"Plan not found"}},
		{checkoutURL, order(map[string]any{"billingInterval": "year"}), 400, []string{"No Stripe price configured for year billing"}},
		{checkoutURL, order(map[string]any{"planId": s.plan("Free").ID}), 400, []string{"No Stripe price configured for month billing"}},
		{portalURL, map[string]any{}, 400, []string{"returnUrl must be a URL address"}},
		{portalURL, map[string]any{"returnUrl": foreign}, 400, []string{"returnUrl is not a trusted origin"}},
	} {
		s.send("POST", c.path, c.body, token).status(c.status).message(c.want...)
	}
	for _, path := range []string{checkoutURL, portalURL, cancelURL, reactivateURL} {
		s.send("POST", path, map[string]any{}).status(401).message("No token provided")
	}
	for _, path := range []string{currentURL, invoicesURL} {
		s.send("GET", path, nil).status(401).message("No token provided")
	}

	closed := newSite(t)
	if err := closed.Billing.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, token = closed.member("ada@example.test")
	urls := map[string]any{"planId": closed.plan("Plus").ID, "successUrl": base + "/ok", "cancelUrl": base + "/no"}
	closed.send("POST", checkoutURL, urls, token).status(400).message("Stripe is not configured")
	closed.send("POST", portalURL, map[string]any{"returnUrl": base + "/"}, token).status(400).message("Stripe is not configured")
	closed.send("POST", cancelURL, nil, token).status(400).message("Stripe is not configured")
	closed.send("POST", reactivateURL, nil, token).status(400).message("Stripe is not configured")
}
