package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/stripetest"
)

const walletURL = "/api/v1/credits/organizations/"

// fund gives an organisation credits.
func (s *site) fund(organizationID string, credits int64) {
	s.Helper()
	s.grant(creditcore.OrganizationAccount(organizationID), credits)
}

// Every route of the credits of an organisation for everybody.
func TestWalletRoutesByRole(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	id := c.organization()
	c.fund(id, 100)
	tokens := map[string]header{}
	for _, name := range append(people[:6:6], "nobody") {
		tokens[name] = c.as(name)
	}
	const (
		notFound  = "404 ORGANIZATION_NOT_FOUND Organization not found"
		forbidden = "403 FORBIDDEN Only owners and admins of the organization may do this"
		noToken   = "401 NO_TOKEN No token provided"
		noMember  = "404 ALLOTMENT_NOT_FOUND Allotment not found, or no such member"
		noStripe  = "503 STRIPE_NOT_CONFIGURED Stripe is not configured"
		noPlan    = "400 STRIPE_NOT_CONFIGURED Stripe is not configured"
		nothing   = "403 ORG_REQUIRED Not a member of the organization"
	)
	type want map[string]string
	reads := want{"else": "200", "outsider": notFound, "guest": notFound, "nobody": noToken}
	manages := func(allowed string) want {
		return want{"else": notFound, "owner": allowed, "admin": allowed, "member": forbidden, "platform": forbidden, "nobody": noToken}
	}
	allot := `{"credits":5,"period":"day"}`
	for _, row := range []struct {
		method, path, body string
		want               want
	}{
		{"GET", walletURL + "{o}/balance", "", reads},
		{"GET", walletURL + "{o}/transactions", "", reads},
		{"GET", walletURL + "{o}/allotments", "", reads},
		{"GET", walletURL + "{o}/allotments/{peer}", "", want{"else": noMember, "owner": "200", "admin": "200", "platform": "200", "outsider": notFound, "guest": notFound, "nobody": noToken}},
		{"GET", walletURL + "{o}/allotments/{member}", "", reads},
		{"GET", walletURL + "nothing/balance", "", want{"else": notFound, "nobody": noToken}},
		{"PUT", walletURL + "{o}/allotments/{peer}", allot, manages("200")},
		{"PUT", walletURL + "{o}/allotments/{member}", allot, manages("200")},
		{"PUT", walletURL + "{o}/allotments/{owner}", allot, manages("200")},
		{"PUT", walletURL + "{o}/allotments/default", allot, manages("200")},
		{"PUT", walletURL + "{o}/allotments/{outsider}", allot, manages(noMember)},
		{"PUT", walletURL + "nothing/allotments/{member}", allot, want{"else": notFound, "platform": notFound, "nobody": noToken}},
		{"DELETE", walletURL + "{o}/allotments/{guest}", "", manages(noMember)},
		{"POST", "/api/v1/credits/purchase", `{"packageId":"00000000-0000-4000-8000-000000000000","organizationId":"{o}"}`, manages(noStripe)},
		{"POST", "/api/v1/credits/payment-link", `{"packageId":"00000000-0000-4000-8000-000000000000","organizationId":"{o}"}`, manages(noStripe)},
		{"GET", "/api/v1/credits/purchases?organizationId={o}", "", manages("200")},
		{"GET", "/api/v1/subscriptions/current?organizationId={o}", "", manages("200")},
		{"GET", "/api/v1/subscriptions/invoices?organizationId={o}", "", manages("200")},
		{"POST", "/api/v1/subscriptions/checkout", `{"planId":"00000000-0000-4000-8000-000000000000","successUrl":"` + base + `/a","cancelUrl":"` + base + `/b","organizationId":"{o}"}`, manages(noPlan)},
		{"POST", "/api/v1/subscriptions/seats", `{"organizationId":"{o}","seats":3}`, manages(noPlan)},
		{"POST", "/api/v1/subscriptions/portal", `{"returnUrl":"` + base + `/a","organizationId":"{o}"}`, manages(noPlan)},
		{"POST", "/api/v1/subscriptions/cancel", `{"organizationId":"{o}"}`, manages(noPlan)},
		{"POST", "/api/v1/subscriptions/reactivate", `{"organizationId":"{o}"}`, manages(noPlan)},
		{"POST", "/api/v1/credits/check", `{"amount":1,"appId":"chat","organizationId":"{o}"}`, want{"else": nothing, "owner": "200", "admin": "200", "member": "200", "nobody": noToken}},
		{"POST", useURL, `{"amount":0.001,"appId":"chat","description":"x","organizationId":"{o}"}`, want{"else": nothing, "owner": "201", "admin": "201", "member": "201", "nobody": noToken}},
		{"GET", "/api/v1/internal/credits/organizations/{o}/balance", "", want{"else": "401", "nobody": "401"}},
	} {
		for _, name := range append(people[:6:6], "nobody") {
			fill := strings.NewReplacer("{o}", id, "{owner}", c.ids["owner"], "{member}", c.ids["member"], "{peer}", c.ids["peer"],
				"{outsider}", c.ids["outsider"], "{guest}", c.ids["guest"])
			if strings.HasPrefix(row.path, useURL) || strings.HasSuffix(row.path, "/check") {
				c.exec(`INSERT INTO credits.allotments (organization_id, credits, period) VALUES ($1, 5000, 'total') ON CONFLICT DO NOTHING`, id)
			}
			var body any
			if row.body != "" {
				body = fill.Replace(row.body)
			}
			got := c.send(row.method, fill.Replace(row.path), body, tokens[name])
			said := fmt.Sprint(got.code)
			if got.code >= 400 && got.code != 401 || got.code == 401 && !strings.Contains(row.path, "/internal/") {
				said = fmt.Sprintf("%d %s %s", got.code, got.text("code"), got.text("message"))
			}
			wanted, ok := row.want[name]
			if !ok {
				wanted = row.want["else"]
			}
			if said != wanted {
				t.Errorf("%s %s by the %s: %s, want %s", row.method, row.path, name, said, wanted)
			}
		}
	}
	report, err := c.Ledger.Audit(t.Context())
	if err != nil || len(report.Breaches) > 0 {
		t.Errorf("audit: %+v, %v", report.Breaches, err)
	}
}

// An organisation's credits are spent by its members, each as they may, and the
// history says who spent and for whom.
func TestWalletIsSpentByMembers(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	id := c.organization()
	c.fund(id, 100)
	owner, member := c.as("owner"), c.as("member")
	if got := c.send("POST", useURL, charge(1, "organizationId", id), member).status(402).object(); got["details"].(map[string]any)["creditType"] != "organization" ||
		got["details"].(map[string]any)["limit"] != "allotment" || got["details"].(map[string]any)["availableCredits"] != 0.0 {
		t.Errorf("without an allotment: %v", got)
	}
	set := c.send("PUT", walletURL+id+"/allotments/"+c.ids["member"], map[string]any{"credits": 10.5, "period": "month"}, owner).status(200).object()
	if a, _ := set["allotment"].(map[string]any); a["credits"] != 10.5 || a["period"] != "month" || set["spent"] != 0.0 || set["left"] != 10.5 || set["role"] != "member" {
		t.Errorf("allotted: %v", set)
	}
	used := c.send("POST", useURL, charge(4, "organizationId", id, "idempotencyKey", "k"), member).status(201)
	txn := used.object()["transaction"].(map[string]any)
	if txn["userId"] != c.ids["member"] || txn["organizationId"] != id || txn["amount"] != -4.0 || used.object()["newBalance"].(map[string]any)["balance"] != 96.0 {
		t.Errorf("used: %s", used.body)
	}
	if again := c.send("POST", useURL, charge(4, "organizationId", id, "idempotencyKey", "k"), member).status(201); again.text("message") != "Transaction already processed" {
		t.Errorf("again: %s", again.body)
	}
	c.send("POST", useURL, charge(4, "idempotencyKey", "k"), member).status(422) // another payer is another request
	c.send("POST", useURL, charge(4, "organizationId", id, "idempotencyKey", "k"), owner).status(201)
	short := c.send("POST", useURL, charge(7, "organizationId", id), member).status(402).object()["details"].(map[string]any)
	if short["availableCredits"] != 6.5 || short["requiredCredits"] != 7.0 || short["limit"] != "allotment" {
		t.Errorf("beyond the allotment: %v", short)
	}
	short = c.send("POST", useURL, charge(700, "organizationId", id), owner).status(402).object()["details"].(map[string]any)
	if short["availableCredits"] != 92.0 || short["creditType"] != "organization" || short["limit"] != nil {
		t.Errorf("beyond the balance: %v", short)
	}
	if got := c.send("GET", "/api/v1/credits/balance", nil, member).status(200).object(); got["balance"] != 0.0 || got["userId"] != c.ids["member"] {
		t.Errorf("the member's own: %v", got)
	}
	if own := c.list("/api/v1/credits/transactions", member); len(own) != 0 {
		t.Errorf("the member's own ledger: %v", own)
	}
	all, mine := c.list(walletURL+id+"/transactions?limit=10", owner), c.list(walletURL+id+"/transactions", member)
	if len(all) != 3 || len(mine) != 1 || mine[0]["userId"] != c.ids["member"] || all[0]["userId"] != c.ids["owner"] || all[2]["userId"] != "" || all[2]["organizationId"] != id {
		t.Errorf("the owner sees %v, the member %v", all, mine)
	}
	if of := c.list(walletURL+id+"/transactions?userId="+c.ids["member"], owner); len(of) != 1 {
		t.Errorf("of the member: %v", of)
	}
	if of := c.list(walletURL+id+"/transactions?userId="+c.ids["owner"], member); len(of) != 0 {
		t.Errorf("of the owner, for the member: %v", of)
	}
	has := c.send("GET", walletURL+id+"/balance", nil, member).status(200).object()
	if share, _ := has["share"].(map[string]any); has["balance"] != 92.0 || share["left"] != 6.5 || share["spent"] != 4.0 {
		t.Errorf("balance: %v", has)
	}
	// Removed, they have no part in it any more.
	c.send("DELETE", "/api/v1/auth/organizations/"+id+"/members/"+id+"-member", nil, owner).status(200)
	member = c.as("member")
	c.send("POST", useURL, charge(1, "organizationId", id), member).status(403)
	c.send("GET", walletURL+id+"/balance", nil, member).status(404)
	// What is left goes to the owner who deletes it.
	c.send("DELETE", "/api/v1/auth/organizations/"+id, nil, owner).status(204)
	if got := c.send("GET", "/api/v1/credits/balance", nil, c.as("owner")).status(200).object(); got["balance"] != 92.0 {
		t.Errorf("the heir: %v", got)
	}
	report, err := c.Ledger.Audit(t.Context())
	if err != nil || len(report.Breaches) > 0 {
		t.Errorf("audit: %+v, %v", report.Breaches, err)
	}
}

func TestAllotmentsRefuseBadInput(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	id := c.organization()
	owner := c.as("owner")
	at := walletURL + id + "/allotments/" + c.ids["member"]
	for _, body := range []string{
		`{}`, `{"credits":0,"period":"day"}`, `{"credits":-1,"period":"day"}`, `{"credits":9007199254740992,"period":"day"}`, `{"credits":1e400,"period":"day"}`,
		`{"credits":"NaN","period":"day"}`, `{"credits":NaN,"period":"day"}`, `{"credits":null,"period":"day"}`, `{"credits":[1],"period":"day"}`,
		`{"credits":0.0001,"period":"day"}`, `{"credits":1}`, `{"credits":1,"period":"week"}`, `{"credits":1,"period":"day","more":1}`,
	} {
		got := c.send("PUT", at, body, owner).status(400)
		if text := got.text("code"); text != "VALIDATION_ERROR" && text != "MALFORMED_BODY" && text != "INVALID_AMOUNT" && text != "INVALID_INPUT" {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	if got := c.send("GET", at, nil, owner).status(200).object(); got["allotment"] != nil || got["left"] != 0.0 {
		t.Errorf("afterwards: %v", got)
	}
	c.send("DELETE", at, nil, owner).status(404)
	c.send("PUT", at, `{"credits":0.001,"period":"total"}`, owner).status(200)
	c.send("DELETE", at, nil, owner).status(200)
}

// Back ends charge an organisation for what a member does, and never one for who
// is no member.
func TestBackEndsChargeOrganizations(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	id := c.organization()
	const internal = "/api/v1/internal/credits"
	granted := c.send("POST", internal+"/grant", map[string]any{"organizationId": id, "amount": 50, "reason": "start", "referenceId": "r1"}, asService).status(200)
	if txn := granted.object()["transaction"].(map[string]any); txn["organizationId"] != id {
		t.Errorf("granted: %s", granted.body)
	}
	for _, body := range []map[string]any{
		{"amount": 1, "reason": "x", "referenceId": "r2"},
		{"amount": 1, "reason": "x", "referenceId": "r2", "userId": c.ids["owner"], "organizationId": id},
	} {
		c.send("POST", internal+"/grant", body, asService).status(400)
	}
	c.send("POST", internal+"/grant", map[string]any{"userId": "org:" + id, "amount": 1, "reason": "x", "referenceId": "r3"}, asService).status(404)
	c.send("POST", internal+"/use", charge(1, "userId", "org:"+id), asService).status(403)
	c.send("POST", internal+"/use", charge(1, "userId", c.ids["outsider"], "organizationId", id), asService).status(403)
	c.send("POST", internal+"/use", charge(1, "userId", c.ids["owner"], "organizationId", "nothing"), asService).status(404)
	used := c.send("POST", internal+"/use", charge(8, "userId", c.ids["owner"], "organizationId", id), asService).status(201)
	charged := used.object()["transaction"].(map[string]any)["id"]
	back := func(change ...any) answer {
		return c.send("POST", internal+"/refund", charge(3, append([]any{"userId", c.ids["owner"], "organizationId", id}, change...)...), asService)
	}
	back().status(400)
	back("transactionId", charged, "userId", c.ids["admin"]).status(404) // somebody else spent it
	back("transactionId", charged).status(201)
	reserved := c.send("POST", internal+"/reserve", map[string]any{"userId": c.ids["owner"], "organizationId": id, "amount": 20, "reason": "film"}, asService).status(200)
	c.send("POST", internal+"/commit", map[string]any{"reservationId": reserved.text("reservationId"), "amount": 5}, asService).status(200)
	if got := c.send("GET", internal+"/organizations/"+id+"/balance", nil, asService).status(200).object(); got["balance"] != 40.0 || got["organizationId"] != id || got["userId"] != nil {
		t.Errorf("balance: %v", got)
	}
	checked := c.send("POST", "/api/v1/credits/check", map[string]any{"userId": c.ids["member"], "organizationId": id, "amount": 1, "appId": "chat"}, asService).status(200).object()
	if checked["allowed"] != false || checked["available"] != 0.0 || checked["missing"] != 1.0 || checked["balance"] != 40.0 {
		t.Errorf("check: %v", checked)
	}
	c.send("POST", internal+"/reserve", map[string]any{"userId": c.ids["member"], "organizationId": id, "amount": 1, "reason": "x"}, asService).status(402)
	if got := c.send("POST", internal+"/init", map[string]any{"organizationId": id}, asService).status(200).object(); got["balance"] != 40.0 {
		t.Errorf("init: %v", got)
	}
	report, err := c.Ledger.Audit(t.Context())
	if err != nil || len(report.Breaches) > 0 {
		t.Errorf("audit: %+v, %v", report.Breaches, err)
	}
}

// An owner buys for the organisation, which is a customer of its own; what is
// refunded is taken from it.
func TestBuyingForAnOrganization(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	userID, token := s.member("ada@example.test")
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m', 'acme', $1, 'owner')`, userID)
	body := map[string]any{"packageId": packageID, "organizationId": "acme"}
	begun := s.send("POST", buyURL, body, token, with("Idempotency-Key", "k")).status(201)
	s.send("POST", buyURL, map[string]any{"packageId": packageID}, token, with("Idempotency-Key", "k")).status(201) // for herself
	intentID, _, _ := strings.Cut(begun.text("clientSecret"), "_secret_")
	intent := stripetest.Object[stripe.PaymentIntent](bank, intentID)
	customer := stripetest.Object[stripe.Customer](bank, intent.Customer.ID)
	if intent.Metadata["userId"] != userID || intent.Metadata["organizationId"] != "acme" || customer.Metadata["organizationId"] != "acme" || customer.Email != "ada@example.test" {
		t.Errorf("intent %v of customer %v", intent.Metadata, customer.Metadata)
	}
	s.events(bank, bank.Pay(intentID)...)
	has := func(want float64) {
		t.Helper()
		if got := s.send("GET", walletURL+"acme/balance", nil, token).status(200).object()["balance"]; got != want {
			t.Errorf("the organisation has %v, want %v", got, want)
		}
	}
	has(1000)
	if got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()["balance"]; got != 0.0 {
		t.Errorf("the buyer has %v", got)
	}
	bought := s.list("/api/v1/credits/purchases?organizationId=acme", token)
	if len(bought) != 1 || bought[0]["userId"] != userID || bought[0]["organizationId"] != "acme" || bought[0]["status"] != "completed" {
		t.Errorf("purchases: %v", bought)
	}
	if own := s.list("/api/v1/credits/purchases", token); len(own) != 1 || own[0]["status"] != "pending" {
		t.Errorf("her own: %v", own)
	}
	s.send("GET", "/api/v1/credits/purchase/"+begun.text("purchaseId"), nil, token).status(200)
	row := s.list(walletURL+"acme/transactions", token)
	if len(row) != 1 || row[0]["type"] != "purchase" || row[0]["userId"] != userID {
		t.Errorf("ledger: %v", row)
	}
	link := s.send("POST", linkURL, body, token).status(201)
	if link.text("url") == "" {
		t.Errorf("link: %s", link.body)
	}
}

// The page of an organisation shows what it has and lets those who manage it say
// who may spend what; hostile names do nothing.
func TestWalletPage(t *testing.T) {
	t.Parallel()
	s, _ := payShop(t)
	adaID, ada := s.proven("ada@example.test", attackText)
	bobID, bob := s.proven("bob@example.test", "Bob")
	_, eve := s.proven("eve@example.test", "Eve")
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('acme', $1)`, attackText)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m-ada', 'acme', $1, 'owner'), ('m-bob', 'acme', $2, 'member')`, adaID, bobID)
	s.fund("acme", 100)
	const at, history, shop = "/account/organizations/acme", "/account/credits?organization=acme", "/account/credits/buy?organization=acme"
	page := s.send("GET", at, nil, ada, in("en")).status(200).wants("Credits of the organization", "100 credits", shop, "Who may spend how much", "without bound")
	if strings.Contains(page.body, "<script>alert") || len(page.body) > pageLimit {
		t.Errorf("the page: %d bytes %s", len(page.body), page.body)
	}
	for _, credits := range []string{"", "0", "-1", "NaN", "9007199254740992", "0,0001", attackText} {
		got := s.post(at, ada, "action", "allot", "member", "m-bob", "credits", credits, "period", "day").status(400)
		if strings.Contains(got.body, "<script>alert") {
			t.Errorf("%q is written as it is", credits)
		}
	}
	s.post(at, ada, "action", "allot", "member", "m-bob", "credits", "1", "period", "week").status(400)
	s.post(at, ada, "action", "allot", "member", "nobody", "credits", "1", "period", "day").status(404)
	s.post(at, ada, "action", "unallot", "member", "m-bob").status(404)
	s.post(at, bob, "action", "allot", "member", "m-bob", "credits", "50", "period", "day").status(403)
	s.post(at, eve, "action", "allot", "member", "m-bob", "credits", "50", "period", "day").status(404)
	s.send("POST", at, url.Values{"action": {"allot"}, "member": {"m-bob"}, "credits": {"50"}, "period": {"day"}}.Encode(), asForm, with("Origin", foreign), ada).status(403)
	s.post(at, ada, "action", "allot", "member", "m-bob", "credits", "7,5", "period", "month").status(303)
	s.post(at, ada, "action", "allot", "member", "everyone", "credits", "2", "period", "day").status(303)
	s.spend(bobID, creditcore.Debit{Organization: "acme", Amount: creditcore.Credits(2), AppID: "chat", Description: attackText})
	s.send("GET", at+"?done=allotted", nil, ada, in("en")).status(200).wants("7.5 credits a month", "2 credits a day", "5.5 credits", "The allotment is saved", "by Bob")
	mine := s.send("GET", at, nil, bob, in("en")).status(200).wants("Your share:", "5.5 credits", "What you have spent").lacks("Who may spend how much", shop, "7.5 credits a month</p>")
	if strings.Contains(mine.body, "<script>alert") {
		t.Error("a description runs")
	}
	s.send("GET", history, nil, ada, in("en")).status(200).wants("by Bob", "98 credits", `name="organization" value="acme"`)
	csv := s.send("GET", "/account/credits/history.csv?organization=acme", nil, ada).status(200)
	if !strings.Contains(csv.body, ",userId") || !strings.Contains(csv.body, bobID) {
		t.Errorf("the file: %s", csv.body)
	}
	s.send("GET", shop, nil, ada, in("en")).status(200).wants("You buy for your organization", `name="organization" value="acme"`)
	for _, path := range []string{history, shop, "/account/credits/history.csv?organization=acme"} {
		s.send("GET", path, nil, bob).status(403)
		s.send("GET", path, nil, eve).status(404)
	}
	s.post("/account/credits/buy", bob, "action", "cancel", "organization", "acme").status(403)
	s.post(at, ada, "action", "unallot", "member", "everyone").status(303)
	s.post(at, ada, "action", "unallot", "member", "m-bob").status(303)
	var shares struct{ Members []struct{ Left *float64 } }
	access, _ := s.login("ada@example.test")
	raw := s.send("GET", walletURL+"acme/allotments", nil, bearer(access)).status(200).body
	if err := json.Unmarshal([]byte(raw), &shares); err != nil || len(shares.Members) != 2 || shares.Members[1].Left == nil || *shares.Members[1].Left != 0 {
		t.Errorf("shares: %s", raw)
	}
	if got := s.send("GET", at, nil, with("Accept", "text/html")); got.code != http.StatusSeeOther {
		t.Errorf("a guest gets %d", got.code)
	}
}
