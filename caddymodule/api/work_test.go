package api_test

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/proofofwork"
)

// workSite is a site that asks for proofs of work, whose clock can be moved.
func workSite(t *testing.T, mode endpoint.WorkMode) (s *site, advance func(time.Duration), outcomes func() map[string]int) {
	t.Helper()
	var mu sync.Mutex
	var ahead time.Duration
	count := map[string]int{}
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	s = newSiteOf(t, billing.Config{BaseURL: base}, func(_ *authcore.Config, d *authcore.Deps) { d.Now = now }, func(c *api.Config, d *api.Deps) {
		c.ProofOfWork = mode
		d.Metrics.Work = func(outcome string) {
			mu.Lock()
			defer mu.Unlock()
			count[outcome]++
		}
	})
	advance = func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		ahead += d
	}
	return s, advance, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

// asked is the challenge of a refusal.
func (a answer) asked() proofofwork.Challenge {
	a.Helper()
	a.status(428)
	var e struct {
		Code, Error string
		Details     struct{ Challenge proofofwork.Challenge }
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Code != "PROOF_OF_WORK_REQUIRED" || e.Error != e.Code || e.Details.Challenge.Challenge == "" {
		a.Fatalf("%s, %v", a.body, err)
	}
	return e.Details.Challenge
}

func solved(t testing.TB, c proofofwork.Challenge) string {
	t.Helper()
	payload, err := proofofwork.Solve(c)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// A client that is asked solves the challenge and sends the request again, with
// the solution in the header or in the body.
func TestProofOfWorkOverTheAPI(t *testing.T) {
	t.Parallel()
	s, _, outcomes := workSite(t, endpoint.WorkAlways)
	for path, body := range map[string]map[string]any{
		"/api/v1/auth/register":                {"email": "ada@example.test", "password": testPassword},
		"/api/v1/auth/forgot-password":         {"email": "ada@example.test"},
		"/api/v1/auth/resend-verification":     {"email": "ada@example.test"},
		"/api/auth/magic-link/send-magic-link": {"email": "ada@example.test"},
		"/api/auth/sign-in/magic-link":         {"email": "ada@example.test"},
	} {
		success := 200
		if path == "/api/v1/auth/register" {
			success = 201
		}
		payload := solved(t, s.send("POST", path, body).asked())
		s.send("POST", path, body, with("X-Altcha", "nonsense")).asked()
		s.send("POST", path, body, with("X-Altcha", payload)).status(success)
		s.send("POST", path, body, with("X-Altcha", payload)).asked() // once
		body["altcha"] = payload
		s.send("POST", path, body).asked() // wherever it stands
		if path == "/api/v1/auth/register" {
			body["email"] = "bob@example.test"
		}
		body["altcha"] = solved(t, s.send("POST", path, body).asked())
		s.send("POST", path, body).status(success)
	}
	var c proofofwork.Challenge
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/auth/challenge", nil).status(200).body), &c); err != nil {
		t.Fatal(err)
	}
	s.send("POST", "/api/v1/auth/forgot-password", `{"email":"ada@example.test"}`, with("X-Altcha", solved(t, c))).status(200)
	// What signs in, and what is not sent by mail, asks for none.
	s.login("ada@example.test")
	if n := outcomes(); n["solved"] != 11 || n["asked"] != 5 || n["refused"] != 20 {
		t.Errorf("%v", n)
	}
	quiet, _, _ := workSite(t, endpoint.WorkOff)
	for range 2 * proofofwork.PressureFrom {
		quiet.send("POST", "/api/v1/auth/forgot-password", `{"email":"ada@example.test"}`).status(200)
	}
}

// Without pressure nobody notices; with it everybody is asked, until it is over.
func TestProofOfWorkUnderPressure(t *testing.T) {
	t.Parallel()
	s, advance, _ := workSite(t, endpoint.WorkAuto)
	forgot := func() answer { return s.send("POST", "/api/v1/auth/forgot-password", `{"email":"ada@example.test"}`) }
	if page := s.send("GET", "/register", nil).status(200); strings.Contains(page.body, "<script") || strings.Contains(page.header.Get("Content-Security-Policy"), "script-src") {
		t.Errorf("a page without pressure: %s", page.body)
	}
	quiet := 0
	for quiet < 3*proofofwork.PressureFrom {
		if forgot().code != 200 {
			break
		}
		quiet++
	}
	if quiet < proofofwork.PressureFrom || quiet > 2*proofofwork.PressureFrom { // twice where a minute ended meanwhile
		t.Fatalf("asked after %d requests", quiet)
	}
	s.send("POST", "/api/v1/auth/register", map[string]any{"email": "ada@example.test", "password": testPassword}).asked()
	if page := s.send("GET", "/register", nil).status(200); !strings.Contains(page.body, "<script") {
		t.Errorf("a page under pressure: %s", page.body)
	}
	advance(proofofwork.PressureLasts + time.Minute)
	forgot().status(200)
}

var (
	challengeOnPage = regexp.MustCompile(`data-challenge="([^"]+)"`)
	ticketOnPage    = regexp.MustCompile(`name="ticket" form="guarded" value="([^"]+)"`)
	nonceOnPage     = regexp.MustCompile(`<script nonce="([^"]+)">`)
)

// The forms come with a challenge, which a script of the page solves, and with a
// ticket for who runs none.
func TestProofOfWorkOnPages(t *testing.T) {
	t.Parallel()
	s, advance, _ := workSite(t, endpoint.WorkAlways)
	fields := url.Values{"email": {"ada@example.test"}, "password": {testPassword}, "name": {`"><b>`}}
	for _, path := range []string{"/register", "/forgot-password", "/resend-verification", "/login/link"} {
		for language, want := range map[string]string{"en": "Please wait 20 seconds", "de": "Bitte warte 20 Sekunden"} {
			page := s.send("GET", path, nil, with("Accept-Language", language)).status(200)
			nonce := nonceOnPage.FindStringSubmatch(page.body)
			policy := page.header.Get("Content-Security-Policy")
			if nonce == nil || !strings.Contains(policy, "script-src 'nonce-"+nonce[1]+"'") || strings.Contains(policy, "unsafe") || strings.Count(page.body, "<script") != 1 {
				t.Fatalf("%s: %s, %s", path, policy, page.body)
			}
			if !strings.Contains(page.body, want) || !strings.Contains(page.body, `id="guarded"`) || len(page.body) > 60_000 {
				t.Errorf("%s in %s: %d bytes: %s", path, language, len(page.body), page.body)
			}
		}
	}
	if page := s.send("GET", "/login", nil).status(200); strings.Contains(page.body, `id="work"`) {
		t.Error("the sign-in page asks for work")
	}
	refused := s.form("/register", fields).status(428)
	if !strings.Contains(refused.body, "send the form once more") || !strings.Contains(refused.body, `value="&#34;&gt;&lt;b&gt;"`) || strings.Contains(refused.body, testPassword) {
		t.Errorf("the form again: %s", refused.body)
	}
	var c proofofwork.Challenge
	if err := json.Unmarshal([]byte(html.UnescapeString(challengeOnPage.FindStringSubmatch(refused.body)[1])), &c); err != nil {
		t.Fatal(err)
	}
	fields.Set("name", "Ada")
	fields.Set("altcha", solved(t, c))
	s.form("/register", fields).status(303)

	delete(fields, "altcha")
	for _, path := range []string{"/forgot-password", "/resend-verification", "/login/link"} {
		page := s.send("GET", path, nil).status(200)
		fields.Set("ticket", ticketOnPage.FindStringSubmatch(page.body)[1])
		early := s.form(path, fields).status(428)
		if !strings.Contains(early.body, "ada@example.test") {
			t.Errorf("%s: %s", path, early.body)
		}
		advance(proofofwork.Wait + time.Second)
		s.form(path, fields, with("Test-Client", "192.0.2.7")).status(428) // another network
		s.form(path, fields).status(200)
		s.form(path, fields).status(428) // once
	}
}
