package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/internal/stripetest"
)

const (
	creditsPage = "/account/credits"
	shopPage    = "/account/credits/buy"
	giftsPage   = "/account/gifts"
	hostile     = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	// mostBytes bounds a page.
	mostBytes = 60_000
)

func in(language string) header { return with("Accept-Language", language) }

// wants fails unless the page has all of these, runs nothing of a stranger, and is small.
func (a answer) wants(parts ...string) answer {
	a.Helper()
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			a.Errorf("the page has no %q: %s", part, a.text0())
		}
	}
	// The script of passkeys carries the nonce of the policy.
	if strings.Contains(strings.ReplaceAll(a.body, "<script nonce=", ""), "<script") || strings.Contains(a.body, "<img src=x") || strings.Contains(a.body, "ZgotmplZ") {
		a.Errorf("the page lets markup through: %s", a.text0())
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		a.Errorf("policy %q", csp)
	}
	if len(a.body) > mostBytes {
		a.Errorf("a page of %d bytes", len(a.body))
	}
	return a
}

func (a answer) lacks(parts ...string) answer {
	a.Helper()
	for _, part := range parts {
		if strings.Contains(a.body, part) {
			a.Errorf("the page has %q: %s", part, a.text0())
		}
	}
	return a
}

// text0 is the page without its style.
func (a answer) text0() string {
	_, main, _ := strings.Cut(a.body, "<main")
	return main
}

// hidden is the value of a hidden field of the n-th form that has one of the name.
func (a answer) hidden(name string, n int) string {
	a.Helper()
	found := regexp.MustCompile(`name="`+name+`" value="([^"]*)"`).FindAllStringSubmatch(a.body, -1)
	if n >= len(found) {
		a.Fatalf("no field %s: %s", name, a.text0())
	}
	return found[n][1]
}

// person registers somebody with a browser.
func (s *site) person(email string) (id string, cookie, token header) {
	s.Helper()
	id, token = s.member(email)
	return id, s.cookie(email), token
}

func (s *site) spend(id string, debits ...creditcore.Debit) {
	s.Helper()
	var group sync.WaitGroup
	for _, d := range debits {
		d.UserID = id
		group.Go(func() {
			if _, err := s.Ledger.Debit(s.Context(), d); err != nil {
				s.Error(err)
			}
		})
	}
	group.Wait()
}

func TestAccountPagesOfCreditsAreForWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{creditsPage + "?app=chat", shopPage, giftsPage} {
		if got := s.send("GET", path, nil).status(303).header.Get("Location"); got != "/login?returnUrl="+url.QueryEscape(path) {
			t.Errorf("%s leads to %q", path, got)
		}
	}
	for _, path := range []string{shopPage, giftsPage, "/g/ABCDEF"} {
		if got := s.form(path, url.Values{"action": {"buy"}}).status(303).header.Get("Location"); !strings.HasPrefix(got, "/login?returnUrl=%2F") {
			t.Errorf("the form of %s leads to %q", path, got)
		}
	}
	s.send("GET", creditsPage+"/history.csv", nil).status(303)
}

func TestCreditsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, cookie, _ := s.person("ada@example.test")
	s.send("GET", creditsPage, nil, cookie, in("de")).status(200).wants("Deine Credits", "0 Credits", "keine Credits verbraucht", "Hier ist nichts", `lang="de"`).lacks("Credits kaufen", "Reserviert", "Offen")

	s.grant(id, 5)
	later := time.Now().Add(48 * time.Hour)
	if _, err := s.Ledger.Grant(t.Context(), creditcore.Grant{
		UserID: id, Amount: creditcore.Credits(1234), Type: creditcore.Purchase, Source: creditcore.SourcePurchase, AppID: "stripe", ExpiresAt: &later,
	}); err != nil {
		t.Fatal(err)
	}
	metadata := json.RawMessage(`{"operation":"<script>alert(1)</script>"}`)
	s.spend(id, creditcore.Debit{Amount: 21, AppID: "chat", Operation: hostile, Description: hostile, Metadata: metadata}, creditcore.Debit{Amount: 1500, AppID: hostile, Description: "plain"})
	if _, err := s.Ledger.Hold(t.Context(), creditcore.Hold{UserID: id, Amount: 250, AppID: "chat"}); err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE credits.balances SET debt = 1005 WHERE user_id = $1`, id)
	german := s.send("GET", creditsPage, nil, cookie, in("de")).status(200).wants(
		"1.237,229 Credits", "Reserviert", "0,25 Credits", "Offen", "1,005 Credits", "&lt;script&gt;", "−0,021", "−1,5", "+1.234", "Woraus sie bestehen", "unbegrenzt", "Gutschrift", "1.232,479", `<rect class="bar"`)
	english := s.send("GET", creditsPage, nil, cookie, in("en")).status(200).wants("Your credits", "1,237.229 credits", "Reserved", "Owed", "no end", "−0.021", "Credit note", "1,232.479")
	if german.header.Get("Cache-Control") != "no-store" || strings.Count(english.body, `<rect class="slot"`) != 30 {
		t.Errorf("%v", german.header)
	}
	// What is spent comes from the lot that ends first.
	if strings.Index(english.body, ">1,232.479<") > strings.Index(english.body, "Credit note") {
		t.Error("the lots are not in the order of their use")
	}
	_, other, _ := s.person("bob@example.test")
	s.send("GET", creditsPage, nil, other).status(200).lacks("1,234", "plain", "chat")
	s.send("GET", creditsPage+"?purchase=success", nil, cookie, in("en")).status(200).wants("Thank you")
}

func TestHistoryOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, cookie, _ := s.person("ada@example.test")
	s.grant(id, 1000)
	long := strings.Repeat("ü<", 60)
	for range 10 {
		debits := make([]creditcore.Debit, 100)
		for i := range debits {
			debits[i] = creditcore.Debit{Amount: 125, AppID: []string{"chat", "todo"}[i%2], Operation: "op", Description: long}
		}
		s.spend(id, debits...)
	}
	older := regexp.MustCompile(`href="(/account/credits\?[^"]*)" rel="next"`)
	rows := func(got answer) int { return strings.Count(got.body, "<time ") }
	pagesSeen, seen := 0, 0
	for path := creditsPage + "?app=chat&type=usage"; path != ""; pagesSeen++ {
		got := s.send("GET", path, nil, cookie).status(200).wants("Usage").lacks("<em>todo</em>")
		seen += rows(got)
		path = ""
		if next := older.FindStringSubmatch(got.body); next != nil {
			path, _, _ = strings.Cut(strings.ReplaceAll(next[1], "&amp;", "&"), "#")
		}
	}
	if pagesSeen != 20 || seen != 500 {
		t.Errorf("%d rows on %d pages", seen, pagesSeen)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	yesterday, tomorrow := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly), time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for query, want := range map[string]int{
		"": 25, "?type=gift": 1, "?app=admin": 1, "?type=purchase": 0, "?app=nope": 0, "?from=" + today + "&to=" + today + "&type=gift": 1, "?to=" + yesterday: 0, "?from=" + tomorrow: 0,
		"?before=3": 2, "?type=&app=&from=&to=": 25, "?app=" + url.QueryEscape(hostile): 0,
	} {
		if got := rows(s.send("GET", creditsPage+query, nil, cookie).status(200).wants()); got != want {
			t.Errorf("%q shows %d rows, want %d", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"?type=nonsense": "no such type", "?from=yesterday": "enter a date", "?to=2026-13-01": "enter a date", "?from=2026-02-02&to=2026-02-01": "beginning is after the end",
		"?before=x": "check what you entered", "?before=-1": "check what you entered", "?app=" + strings.Repeat("a", 300): "went wrong", "?from=2026-02-02T00:00:00Z": "went wrong",
		"?app=%00": "went wrong",
	} {
		if got := s.send("GET", creditsPage+query, nil, cookie).status(400).wants(`role="alert"`); want != "went wrong" {
			got.wants(want)
		}
	}
}

func TestHistoryAsAFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, cookie, _ := s.person("ada@example.test")
	s.grant(id, 100)
	texts := []string{"=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "plain", "-5", "+7", `quo"te,` + "comma", "Ünï"}
	for _, text := range texts {
		s.spend(id, creditcore.Debit{Amount: 5, AppID: "=app", Operation: text, Description: text})
	}
	for range 3 {
		debits := make([]creditcore.Debit, 100)
		for i := range debits {
			debits[i] = creditcore.Debit{Amount: 1, AppID: "many", Description: fmt.Sprint(i)}
		}
		s.spend(id, debits...)
	}
	read := func(query string) [][]string {
		t.Helper()
		got := s.send("GET", creditsPage+"/history.csv"+query, nil, cookie).status(200)
		if got.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment; ") {
			t.Errorf("%v", got.header)
		}
		rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if rows := read(""); len(rows) != 312 {
		t.Errorf("%d rows", len(rows))
	}
	if rows := read("?app=many&type=usage"); len(rows) != 301 || rows[1][5] != "-0.001" {
		t.Errorf("%d rows, %q", len(rows), rows[1])
	}
	var shown []string
	for _, row := range read("?app=" + url.QueryEscape("=app"))[1:] {
		if row[1] != "usage" || row[2] != "'=app" || row[5] != "-0.005" || row[3] != row[4] {
			t.Errorf("%q", row)
		}
		shown = append(shown, row[4])
	}
	slices.Reverse(shown)
	want := []string{"'=1+1", "'+cmd", "'-2+3", "'@SUM(A1)", "'\tx", "plain", "-5", "'+7", `quo"te,comma`, "Ünï"}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	s.send("GET", creditsPage+"/history.csv?from=x", nil, cookie).status(400)
	_, other, _ := s.person("bob@example.test")
	if got := s.send("GET", creditsPage+"/history.csv", nil, other).status(200); strings.Count(got.body, "\n") != 1 {
		t.Errorf("another's history: %s", got.body)
	}
}

// payShop is a site that sells a package and the plan Plus, and takes buyers back.
func payShop(t *testing.T) (s *site, bank *stripetest.Server) {
	t.Helper()
	bank = stripetest.New(t)
	bank.AddPrice("price_plus", 499, "month")
	s = newShop(t, billing.Config{
		SecretKey: bank.Key, APIURL: bank.URL, WebhookSecrets: []string{bank.WebhookSecret}, BaseURL: base,
		Plans:    []catalog.PlanSeed{{Name: "Plus", ProductID: "prod_plus", PriceMonthly: "price_plus"}},
		Packages: []catalog.PackageSeed{{Name: hostile, Description: "A lot", Credits: creditcore.Credits(1000) + 5, PriceEuroCents: 123456}},
	})
	if err := s.Billing.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, bank
}

func TestShopPage(t *testing.T) {
	t.Parallel()
	s, bank := payShop(t)
	_, cookie, token := s.person("ada@example.test")
	s.send("GET", creditsPage, nil, cookie, in("de")).status(200).wants("Credits kaufen", shopPage)
	s.send("GET", shopPage, nil, cookie, in("de")).status(200).wants("1.000,005 Credits", "Kaufen für 1.234,56\u00a0€", "&lt;script&gt;", "4,99\u00a0€ im Monat", "100 Credits").lacks("Free", "Ultra", "im Jahr</button>", "Rechnungen")
	shop := s.send("GET", shopPage, nil, cookie, in("en")).status(200).wants("Buy for €1,234.56", "€4.99 a month")

	// Two presses of one button are one purchase; another page is another one.
	buy := url.Values{"action": {"buy"}, "id": {shop.hidden("id", 0)}, "key": {shop.hidden("key", 0)}}
	var answers [4]answer
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = s.form(shopPage, buy, cookie) })
	}
	group.Wait()
	to := strings.TrimPrefix(answers[0].status(200).header.Get("Refresh"), "0;url=")
	for _, a := range answers {
		if a.status(200).wants("page of Stripe", `href="`+to+`"`).header.Get("Refresh") != "0;url="+to || !strings.HasPrefix(to, "http") {
			t.Errorf("leads to %q, then %q", to, a.header.Get("Refresh"))
		}
	}
	if got := len(s.list("/api/v1/credits/purchases", token)); got != 1 {
		t.Errorf("%d purchases", got)
	}
	for session, err := range bank.Client().V1CheckoutSessions.List(t.Context(), nil).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if session.SuccessURL != base+creditsPage+"?purchase=success" || session.CancelURL != base+shopPage+"?purchase=cancelled" {
			t.Errorf("leads back to %q and %q", session.SuccessURL, session.CancelURL)
		}
		s.events(bank, bank.Pay(session.ID)...)
	}
	s.send("GET", creditsPage+"?purchase=success", nil, cookie, in("en")).status(200).wants("1,000.005 credits", "Thank you")
	buy.Set("key", s.send("GET", shopPage, nil, cookie).hidden("key", 0))
	s.form(shopPage, buy, cookie).status(200)
	if got := len(s.list("/api/v1/credits/purchases", token)); got != 2 {
		t.Errorf("%d purchases", got)
	}
	for fields, want := range map[string]int{"action=buy&id=nope": 404, "action=subscribe-year&id=" + s.plan("Plus").ID: 400, "action=subscribe-month&id=x": 404, "action=cancel": 404, "action=resume": 404, "action=dance": 400, "": 400} {
		values, _ := url.ParseQuery(fields)
		s.form(shopPage, values, cookie).status(want).wants(`role="alert"`)
	}
	s.send("GET", shopPage+"?purchase=cancelled", nil, cookie, in("en")).status(200).wants("Nothing has been charged", "Payments and invoices")
}

func TestSubscriptionOnThePage(t *testing.T) {
	t.Parallel()
	s, bank := payShop(t)
	_, cookie, _ := s.person("ada@example.test")
	order := url.Values{"action": {"subscribe-month"}, "id": {s.plan("Plus").ID}}
	first := s.form(shopPage, order, cookie).status(200).header.Get("Refresh")
	if again := s.form(shopPage, order, cookie).status(200).header.Get("Refresh"); again != first {
		t.Errorf("two checkouts: %q, %q", first, again)
	}
	for session, err := range bank.Client().V1CheckoutSessions.List(t.Context(), nil).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s.events(bank, bank.Pay(session.ID)...)
	}
	s.send("GET", shopPage, nil, cookie, in("de")).status(200).wants("Plus", "aktiv", "Verlängert sich am", "Abo kündigen", "Abo ändern", "deins").lacks("im Monat</button>")
	s.form(shopPage, order, cookie, in("de")).status(409).wants("Du hast schon ein Abo")
	s.form(shopPage, url.Values{"action": {"cancel"}}, cookie).status(303)
	s.form(shopPage, url.Values{"action": {"cancel"}}, cookie).status(303)
	s.send("GET", shopPage, nil, cookie, in("en")).status(200).wants("Ends on", "Take the cancellation back").lacks("Cancel the subscription")
	s.form(shopPage, url.Values{"action": {"resume"}}, cookie).status(303)
	s.send("GET", shopPage, nil, cookie, in("en")).status(200).wants("Renews on")
	if to := s.form(shopPage, url.Values{"action": {"portal"}}, cookie).status(200).header.Get("Refresh"); !strings.HasPrefix(to, "0;url=http") {
		t.Errorf("the portal is at %q", to)
	}
}

func TestNothingIsSoldWithoutStripe(t *testing.T) {
	t.Parallel()
	s := newShop(t, billing.Config{BaseURL: base, Packages: []catalog.PackageSeed{{Name: "Large", Credits: creditcore.Credits(10), PriceEuroCents: 99}}})
	if err := s.Billing.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, cookie, _ := s.person("ada@example.test")
	s.send("GET", creditsPage, nil, cookie).status(200).lacks(shopPage)
	s.send("GET", shopPage, nil, cookie, in("de")).status(200).wants("Zurzeit gibt es nichts zu kaufen").lacks("Large", "Plus")
	s.form(shopPage, url.Values{"action": {"buy"}, "id": {onSale(t, s)}}, cookie, in("de")).status(503).wants("Hier kann man zurzeit nichts kaufen")
}

func TestGiftsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada, token := s.person("ada@example.test")
	_, bob, bobToken := s.person("bob@example.test")
	s.send("POST", "/api/v1/auth/profile", map[string]any{"name": hostile}, token).status(200)
	s.grant(id, 100)
	s.send("GET", giftsPage, nil, ada, in("de")).status(200).wants("Credits verschenken", "100 Credits", "noch nichts verschenkt", "noch kein Geschenk")

	// Two presses of one button give once.
	fresh := s.send("GET", giftsPage, nil, ada)
	order := url.Values{"action": {"make"}, "key": {fresh.hidden("key", 1)}, "credits": {"11"}, "portions": {"2"}, "message": {hostile}}
	var answers [4]answer
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = s.form(giftsPage, order, ada) })
	}
	group.Wait()
	to := answers[0].status(303).header.Get("Location")
	for _, a := range answers {
		if got := a.status(303).header.Get("Location"); got != to {
			t.Errorf("%q, then %q", to, got)
		}
	}
	code := strings.TrimPrefix(to, giftsPage+"?made=")
	s.send("GET", to, nil, ada, in("en")).status(200).wants("Your gift is ready", base+"/g/"+code, "2 × 5", "90 credits", "&lt;script&gt;")
	order.Set("credits", "12")
	s.form(giftsPage, order, ada, in("de")).status(422).wants("schon einmal abgeschickt", `value="12"`)
	if got := s.list(giftsURL+"/me/created", token); len(got) != 1 || got[0]["type"] != "first_come" {
		t.Errorf("gifts: %v", got)
	}

	// bob redeems it by its code, once; ada cannot.
	s.form(giftsPage, url.Values{"action": {"redeem"}, "code": {code}}, ada, in("en")).status(409).wants("cannot redeem your own gift")
	claim := url.Values{"action": {"redeem"}, "code": {" " + strings.ToLower(code) + " "}, "key": {"press"}}
	back := s.form(giftsPage, claim, bob).status(303).header.Get("Location")
	s.form(giftsPage, claim, bob).status(303)
	s.send("GET", back, nil, bob, in("de")).status(200).wants("Du hast bekommen:", "5 Credits", "&lt;script&gt;")
	claim.Set("key", "another press")
	s.form(giftsPage, claim, bob, in("de")).status(409).wants("schon eingelöst", `value=" `+strings.ToLower(code)+` "`)
	s.form(giftsPage, url.Values{"action": {"redeem"}, "code": {"ABCDEF"}}, bob, in("de")).status(404).wants("gibt es nicht")

	// What is left comes back, to ada alone.
	gift := s.send("GET", giftsPage, nil, ada).hidden("id", 0)
	s.form(giftsPage, url.Values{"action": {"cancel"}, "id": {gift}}, bob).status(404)
	cancelled := s.form(giftsPage, url.Values{"action": {"cancel"}, "id": {gift}}, ada).status(303).header.Get("Location")
	s.send("GET", cancelled, nil, ada, in("en")).status(200).wants("Cancelled. Back with you:", "5 credits", "95 credits")
	s.send("GET", cancelled, nil, bob, in("en")).status(200).lacks("Back with you")
	s.form(giftsPage, url.Values{"action": {"cancel"}, "id": {gift}}, ada, in("de")).status(400).wants("nicht mehr offen")
	if got := s.send("GET", "/api/v1/credits/balance", nil, bobToken).object()["balance"]; got != 5.0 {
		t.Errorf("bob has %v", got)
	}
}

func TestGiftFormFaults(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, cookie, token := s.person("ada@example.test")
	s.grant(id, 50)
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for fields, want := range map[string]struct {
		status int
		text   string
	}{
		"credits=":                             {400, "number from 1 to 10,000"},
		"credits=x":                            {400, "number from 1 to 10,000"},
		"credits=0.5":                          {400, "one credit at least"},
		"credits=10001":                        {400, "at most 10,000"},
		"credits=60":                           {402, "do not have enough credits"},
		"credits=5&portions=6":                 {400, "one credit at least"},
		"credits=5&portions=101":               {400, "1 to 100 portions"},
		"credits=5&portions=1.5":               {400, "1 to 100 portions"},
		"credits=5&target=nobody":              {400, "valid e-mail address"},
		"credits=5&question=Why":               {400, "both question and answer"},
		"credits=5&answer=Because":             {400, "both question and answer"},
		"credits=5&expires=2020-01-01":         {400, "must be in the future"},
		"credits=5&expires=soon":               {400, "enter a date"},
		"credits=5&message=%1B":                {400, "characters that are not allowed"},
		"credits=5&question=%E2%80%AEx&answer": {400, "characters that are not allowed"},
	} {
		values, err := url.ParseQuery(fields)
		if err != nil {
			t.Fatal(err)
		}
		values.Set("action", "make")
		got := s.form(giftsPage, values, cookie, in("en")).status(want.status).wants(want.text, `role="alert"`)
		if typed := values.Get("target"); typed != "" {
			got.wants(`value="`+typed+`"`, "<details open>")
		}
	}
	s.form(giftsPage, url.Values{"action": {"dance"}}, cookie).status(400)
	if got := s.list(giftsURL+"/me/created", token); len(got) != 0 {
		t.Errorf("gifts: %v", got)
	}
	// A refused order may be mended under the same key.
	fields := url.Values{"action": {"make"}, "key": {"k"}, "credits": {"60"}}
	if got := s.form(giftsPage, fields, cookie).status(402); !slices.Contains([]string{got.hidden("key", 0), got.hidden("key", 1)}, "k") {
		t.Errorf("another key: %s", got.text0())
	}
	fields.Set("credits", "6")
	fields.Set("expires", tomorrow)
	s.form(giftsPage, fields, cookie).status(303)
	kinds := map[string]url.Values{
		"personalized": {"target": {"bob@example.test"}}, "riddle": {"question": {"Q"}, "answer": {"A"}}, "split": {"portions": {"2"}, "several": {"true"}, "question": {"Q"}, "answer": {"A"}},
		"simple": {"several": {"true"}},
	}
	for kind, fields := range kinds {
		fields.Set("action", "make")
		fields.Set("credits", "2")
		s.form(giftsPage, fields, cookie).status(303)
		if got := s.list(giftsURL+"/me/created", token)[0]["type"]; got != kind {
			t.Errorf("%v makes a gift of type %v, want %s", fields, got, kind)
		}
	}
	s.form(giftsPage, url.Values{"action": {"make"}, "credits": {"2"}, "target": {"@bob:example.test"}}, cookie).status(303)
}

func TestGiftIsRedeemedOnItsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada, token := s.person("ada@example.test")
	bobID, bob, _ := s.person("bob@example.test")
	_, eve, _ := s.person("eve@example.test")
	s.grant(id, 100)
	path := func(fields map[string]any) string { return "/g/" + s.gift(token, fields)["code"].(string) }

	plain := path(map[string]any{"credits": 3})
	s.send("GET", plain, nil, in("de")).status(200).wants(`href="/login?returnUrl=`+plain+`"`, `href="/register?returnUrl=`+plain+`"`).lacks("<form")
	if got := s.form("/login", url.Values{"email": {"bob@example.test"}, "password": {testPassword}, "returnUrl": {plain}}).status(303).header.Get("Location"); got != base+plain {
		t.Errorf("sign-in leads to %q", got)
	}
	s.send("GET", plain, nil, ada, in("en")).status(200).wants("your own gift").lacks("<form")
	page := s.send("GET", plain, nil, bob, in("en")).status(200).wants("Redeem", "bob@example.test")
	form := url.Values{"key": {page.hidden("key", 0)}}
	for range 2 { // a double click
		if got := s.form(plain, form, bob).status(303).header.Get("Location"); got != giftsPage+"?redeemed="+strings.TrimPrefix(plain, "/g/") {
			t.Errorf("leads to %q", got)
		}
	}
	if b, err := s.Ledger.BalanceOf(t.Context(), bobID); err != nil || b.Available != creditcore.Credits(3) {
		t.Errorf("bob has %v, %v", b.Available, err)
	}
	s.form(plain, url.Values{}, eve, in("de")).status(409).wants("vollständig eingelöst")

	riddle := path(map[string]any{"credits": 2, "portions": 2, "riddleQuestion": "Who & why?", "riddleAnswer": "Me"})
	s.send("GET", riddle, nil, bob).status(200).wants(`name="answer" required`, "Who &amp; why?")
	if got := s.form(giftsPage, url.Values{"action": {"redeem"}, "code": {strings.TrimPrefix(riddle, "/g/")}}, bob).status(303).header.Get("Location"); got != riddle {
		t.Errorf("a riddle leads to %q", got)
	}
	s.form(riddle, url.Values{"answer": {"you"}, "key": {"a"}}, bob, in("de")).status(409).wants("nicht die Antwort")
	s.form(riddle, url.Values{}, bob, in("en")).status(409).wants("answer the question")
	s.form(riddle, url.Values{"answer": {strings.Repeat("x", 101)}}, bob, in("en")).status(400).wants("too long")
	s.form(riddle, url.Values{"answer": {" ME "}, "key": {"b"}}, bob).status(303)

	s.exec(`UPDATE auth.users SET email_verified = true WHERE email = 'bob@example.test'`)
	personal := path(map[string]any{"credits": 1, "targetEmail": "bob@example.test", "message": "Only you"})
	s.form(personal, url.Values{}, eve, in("de")).status(409).wants("für jemand anderen").lacks("Only you")
	s.send("GET", personal, nil, bob).status(200).wants("Only you", "<form")
	s.form(personal, url.Values{}, bob).status(303)
	unproven := path(map[string]any{"credits": 1, "targetEmail": "eve@example.test"})
	s.form(unproven, url.Values{}, eve, in("en")).status(409).wants("confirm the address first")
	s.form("/g/%3Cscript%3E", url.Values{}, eve).status(404).wants("no such gift code")
}

func TestCreditFormsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := payShop(t)
	id, cookie, token := s.person("ada@example.test")
	s.grant(id, 100)
	_, _, other := s.person("bob@example.test")
	gift := s.gift(token, map[string]any{"credits": 1})
	shop := s.send("GET", shopPage, nil, cookie)
	forms := map[string]url.Values{
		shopPage:                      {"action": {"buy"}, "id": {shop.hidden("id", 0)}},
		giftsPage:                     {"action": {"make"}, "credits": {"5"}},
		"/g/" + gift["code"].(string): {},
	}
	before := s.rows()
	for path, fields := range forms {
		for name, headers := range map[string][]header{
			"foreign origin":  {with("Origin", foreign)},
			"null origin":     {with("Origin", "null")},
			"neither header":  nil,
			"trusted sibling": {with("Origin", app), with("Sec-Fetch-Site", "same-site")},
			"same site":       {with("Sec-Fetch-Site", "same-site")},
			"cross-site":      {with("Sec-Fetch-Site", "cross-site")},
		} {
			got := s.send("POST", path, fields.Encode(), append(headers, asForm, cookie)...).status(403).wants("came from another site")
			if len(got.header["Set-Cookie"]) > 0 {
				t.Errorf("%s, %s: %v", path, name, got.header)
			}
		}
	}
	// Nor does looking at a page change anything.
	for _, path := range []string{creditsPage, shopPage, giftsPage, creditsPage + "/history.csv", "/g/" + gift["code"].(string)} {
		for _, method := range []string{"GET", "HEAD"} {
			s.send(method, path+"?action=make&credits=5&id="+gift["id"].(string), nil, cookie).status(200)
		}
	}
	if diff := cmp.Diff(before, s.rows()); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
	if got := s.list(giftsURL+"/me/received", other); len(got) != 0 {
		t.Error(got)
	}
}

// A browser in which nobody chose a language speaks that of the account, from the sign-in
// on.
func TestLanguageOfTheAccount(t *testing.T) {
	t.Parallel()
	s, _ := mailSite(t)
	cookie := s.cookie("ada@example.test")
	saved := s.form("/account/preferences", url.Values{"language": {"de"}}, cookie, in("en")).status(303)
	if _, kept := setCookie(saved, "mana.language"); kept == nil || kept.Value != "de" {
		t.Errorf("the browser in which it was chosen: %v", saved.header)
	}
	signIn := func(headers ...header) answer {
		t.Helper()
		return s.form("/login", url.Values{"email": {"ada@example.test"}, "password": {testPassword}}, headers...).status(303)
	}
	if _, kept := setCookie(signIn(in("en")), "mana.language"); kept == nil || kept.Value != "de" {
		t.Errorf("another browser: %v", kept)
	}
	for _, set := range signIn(in("en"), with("Cookie", "__Host-mana.language=en")).header["Set-Cookie"] {
		if strings.Contains(set, "mana.language") {
			t.Errorf("a browser in which another was chosen: %s", set)
		}
	}
}

// The language chosen at the foot of a page is kept, for mails too, and wins over
// what the browser prefers.
func TestChosenLanguage(t *testing.T) {
	t.Parallel()
	s, box := mailSite(t)
	got := s.send("GET", "/login?returnUrl="+url.QueryEscape(app+"/x")+"&lang=de", nil, in("en")).status(200).wants(`lang="de"`, "Anmelden", `href="?lang=en&amp;returnUrl=https%3A%2F%2Fchat.example.test%2Fx"`)
	kept, cookie := setCookie(got, "mana.language")
	if cookie == nil || cookie.Value != "de" || !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" {
		t.Fatalf("cookie %v", cookie)
	}
	s.send("GET", "/register", nil, in("en"), kept).status(200).wants("Konto anlegen")
	if again := s.send("GET", "/register?lang=de", nil, in("en"), kept).status(200); len(again.header["Set-Cookie"]) > 0 {
		t.Error("the cookie is set again")
	}
	s.send("GET", "/register?lang=fr", nil, in("en")).status(200).wants("Create an account")
	s.send("GET", "/register", nil, in("de"), with("Cookie", "__Host-mana.language=<script>")).status(200).wants("Konto anlegen")
	if failed := s.form("/login", url.Values{"email": {"x@example.test"}, "password": {"wrong password"}}, kept).status(401); strings.Contains(failed.body, "hreflang") {
		t.Error("a page that cannot be asked for again offers languages")
	}
	s.form("/register", url.Values{"email": {"grace@example.test"}, "password": {testPassword}}, kept, in("en")).status(303)
	if n := box.last(t, notice.VerifyEmail); n.To != "grace@example.test" || n.Client.Language != "de" {
		t.Errorf("a mail to %s in %q", n.To, n.Client.Language)
	}
}

func TestBrandOverTheAPI(t *testing.T) {
	t.Parallel()
	logo, err := pages.NewLogo([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><rect width="2" height="1"/></svg>`))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(_ *api.Config, d *api.Deps) {
		plain, err := pages.New()
		if err != nil {
			t.Fatal(err)
		}
		d.Pages = plain.With(pages.Brand{Name: "Teahouse", Logo: logo, Colour: "#aa0044", Imprint: "https://example.test/imprint"})
	})
	s.send("GET", "/login", nil).status(200).wants("Sign in · Teahouse", `src="`+logo.Path()+`"`, "#aa0044", `href="https://example.test/imprint"`).lacks("Mana<")
	got := s.send("GET", logo.Path(), nil).status(200)
	for name, want := range map[string]string{
		"Content-Type": "image/svg+xml", "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff",
	} {
		if h := got.header.Get(name); h != want {
			t.Errorf("%s: %q", name, h)
		}
	}
	if csp := got.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "sandbox") {
		t.Errorf("policy %q", csp)
	}
	s.send("GET", "/brand/000000000000000000000000.svg", nil).status(404)
	named := newSiteOf(t, billing.Config{BaseURL: base}, func(c *authcore.Config, _ *authcore.Deps) { c.Name = "Tea: House" })
	_, token := named.member("ada@example.test")
	if uri := named.send("POST", "/api/auth/two-factor/enable", map[string]any{"password": testPassword}, token).status(200).text("totpURI"); !strings.Contains(uri, "/Tea%20House:ada@example.test?") || !strings.Contains(uri, "issuer=Tea%20House") {
		t.Errorf("an authenticator shows %s", uri)
	}
	if icon := s.send("GET", "/favicon.ico", nil).status(200); !strings.Contains(icon.body, "#aa0044") || !strings.Contains(icon.body, ">T<") || icon.code != http.StatusOK {
		t.Errorf("icon: %s", icon.body)
	}
}
