package api_test

import (
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

// An organisation pays for seats, has members and invitations for as many, and changes
// how many they are: by the routes and on the pages.
func TestSeatsOfAnOrganization(t *testing.T) {
	t.Parallel()
	s, bank := subscriptionShop(t)
	s.exec(`UPDATE subscriptions.plans SET per_seat = true, rollover_credits = 50000 WHERE name = 'Plus'`)
	plan := s.plan("Plus")
	adaID, ada := s.proven("ada@example.test", "Ada")
	_, bob := s.proven("bob@example.test", "Bob")
	s.proven("eve@example.test", "Eve")
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m', 'acme', $1, 'owner')`, adaID)
	const (
		seatsURL = "/api/v1/subscriptions/seats"
		at       = "/api/v1/auth/organizations"
		shop     = "/account/credits/buy?organization=acme"
	)
	tokenOf := func(email string) header {
		access, _ := s.login(email)
		return bearer(access)
	}
	token, bobs := tokenOf("ada@example.test"), tokenOf("bob@example.test")
	order := func(seats any) map[string]any {
		return map[string]any{"planId": plan.ID, "organizationId": "acme", "seats": seats, "successUrl": app + "/a", "cancelUrl": app + "/b"}
	}
	for _, bad := range []any{0, -1, 101, 2.5, "3", "x", 9007199254740993} {
		s.send("POST", checkoutURL, order(bad), token).status(400)
		s.send("POST", seatsURL, map[string]any{"organizationId": "acme", "seats": bad}, token).status(400)
	}
	s.send("POST", seatsURL, map[string]any{"organizationId": "acme", "seats": 2}, token).status(404)
	own := order(2)
	delete(own, "organizationId")
	s.send("POST", checkoutURL, own, token).status(400).message("Seats are for organizations, of a plan that is sold by the seat")

	s.send("GET", shop, nil, ada, in("en")).status(200).wants("a month and seat", `name="seats"`, `min="1"`, "up to 50 credits")
	opened := s.send("POST", checkoutURL, order(2), token).status(201)
	paid := stripetest.Events(bank.Pay(opened.text("sessionId")))
	s.events(bank, paid...)
	now := func() map[string]any {
		t.Helper()
		return s.send("GET", currentURL+"?organizationId=acme", nil, token).status(200).object()
	}
	if got := now(); got["subscription"].(map[string]any)["seats"] != 2.0 || got["plan"].(map[string]any)["perSeat"] != true || got["plan"].(map[string]any)["rolloverCredits"] != 50.0 {
		t.Errorf("subscribed: %v", got)
	}
	if got := s.send("GET", walletURL+"acme/balance", nil, token).status(200).object()["balance"]; got != 200.0 {
		t.Errorf("two seats have %v", got)
	}

	invite := func(email string) answer {
		return s.send("POST", at+"/acme/invite", map[string]string{"employeeEmail": email, "role": "member"}, token)
	}
	invited := invite("bob@example.test").status(201)
	refused := invite("eve@example.test").status(409)
	if refused.text("code") != "NO_FREE_SEAT" {
		t.Errorf("no seat: %s", refused.body)
	}
	s.post("/account/organizations/acme", ada, "action", "invite", "email", "eve@example.test", "role", "member").status(409).wants("no free seat left")
	s.exec(`UPDATE subscriptions.subscriptions SET seats = 1`)
	accept := map[string]string{"invitationId": invited.text("id")}
	if got := s.send("POST", at+"/accept-invitation", accept, bobs).status(409); got.text("code") != "NO_FREE_SEAT" {
		t.Errorf("a seat that is gone: %s", got.body)
	}
	s.exec(`UPDATE subscriptions.subscriptions SET seats = 2`)
	s.send("POST", at+"/accept-invitation", accept, bobs).status(201)

	taken := s.send("POST", seatsURL, map[string]any{"organizationId": "acme", "seats": 1}, token).status(409)
	if taken.text("code") != "SEATS_TAKEN" || !strings.Contains(taken.text("message"), "2 members") {
		t.Errorf("fewer than members: %s", taken.body)
	}
	s.send("POST", seatsURL, map[string]any{"organizationId": "acme", "seats": 3}, bobs).status(403)
	before := len(bank.Events())
	if got := s.send("POST", seatsURL, map[string]any{"organizationId": "acme", "seats": 3}, token).status(201).object(); got["seats"] != 3.0 || got["success"] != true {
		t.Errorf("changed: %v", got)
	}
	s.events(bank, bank.Events()[before:]...)
	if got := stripetest.Object[stripe.Subscription](bank, paid.Object("subscription")).Items.Data[0].Quantity; got != 3 {
		t.Errorf("Stripe bills %d", got)
	}
	invite("eve@example.test").status(201)

	s.send("GET", shop, nil, ada, in("en")).status(200).wants("3 seats", "of which 2 taken", `value="seats"`, `min="2"`)
	s.post("/account/credits/buy", ada, "action", "seats", "organization", "acme", "seats", "1").status(409).wants("more members than that")
	for _, bad := range []string{"", "0", "-2", "x", "101"} {
		s.post("/account/credits/buy", ada, "action", "seats", "organization", "acme", "seats", bad).status(400)
	}
	s.post("/account/credits/buy", ada, "action", "seats", "organization", "acme", "seats", "5").status(303)
	if got := now()["subscription"].(map[string]any)["seats"]; got != 5.0 {
		t.Errorf("after the page: %v seats", got)
	}
	s.post("/account/credits/buy", bob, "action", "seats", "organization", "acme", "seats", "4").status(403)
	s.exec(`UPDATE subscriptions.subscriptions SET status = 'unpaid'`)
	invite("fay@example.test").status(201)
	report, err := s.Ledger.Audit(t.Context())
	if err != nil || len(report.Breaches) > 0 {
		t.Errorf("audit: %+v, %v", report.Breaches, err)
	}
}

// Lots say what of them lives on.
func TestLotsThatRollOver(t *testing.T) {
	t.Parallel()
	s, bank := subscriptionShop(t)
	_, token := s.member("ada@example.test")
	order := map[string]any{"planId": s.plan("Plus").ID, "successUrl": app + "/a", "cancelUrl": app + "/b"}
	s.events(bank, bank.Pay(s.send("POST", checkoutURL, order, token).status(201).text("sessionId"))...)
	lot := func() map[string]any {
		t.Helper()
		lots := s.send("GET", "/api/v1/credits/balance?include=lots", nil, token).status(200).object()["lots"].([]any)
		if len(lots) != 1 {
			t.Fatalf("lots: %v", lots)
		}
		return lots[0].(map[string]any)
	}
	if _, there := lot()["rollsOver"]; there {
		t.Errorf("the first month rolls: %v", lot())
	}
	s.exec(`UPDATE credits.lots SET rolls_over = 20000, rolls_to = '2030-02-03T04:05:06Z'`) // as the second month does
	if got := lot(); got["rollsOver"] != 20.0 || got["rollsTo"] != "2030-02-03T04:05:06.000Z" {
		t.Errorf("the first month: %v", got)
	}
	s.send("GET", "/account/credits", nil, s.cookie("ada@example.test"), in("en")).status(200).wants("of which stay up to 20 credits")
}
