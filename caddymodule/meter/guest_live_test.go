package meter_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

// Past a whole edge: the app neither sees the cookie of a guest's wallet nor sets it, also not
// on routes that are not paid; and what is left goes to the account that the guest makes.
func TestLiveGuest(t *testing.T) {
	w := edgetest.StartWire(t, "", map[string]string{
		"auth": "mana_api",
		"chat": "mana_auth optional\n@paid path /paid*\nmana_credits @paid 5 {\n guest 20/day {\n  per_address 60\n  total 1000\n }\n}\nreverse_proxy $UPSTREAM",
	})
	w.Upstream.Extra = "Set-Cookie: app=1\r\nSet-Cookie: __Secure-mana.guest=evil; Domain=.mana.localhost\r\nset-cookie: MANA.GUEST=evil\r\n" +
		"Set-Cookie: =mana.guest=evil\r\nMana-Credits-Remaining: 1000\r\n"
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: w.TLS("http/1.1"), DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(method, site, path, body string, headers ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+w.Addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = w.Host(site)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	const own = "Sec-Fetch-Site: same-origin"

	resp, _ := send("GET", "chat", "/paid", "", own)
	wantBill(t, resp.Header, "5", "15")
	var wallet string
	for _, value := range resp.Header["Set-Cookie"] {
		if pair, attributes, _ := strings.Cut(value, "; "); pair != "app=1" {
			if wallet = pair; attributes != "Max-Age=2592000; Domain=.mana.localhost; Path=/; HttpOnly; Secure; SameSite=Lax" {
				t.Errorf("attributes %q", attributes)
			}
		}
	}
	if len(resp.Header["Set-Cookie"]) != 2 || !strings.HasPrefix(wallet, "__Secure-mana.guest=") || strings.Contains(wallet, "evil") || resp.Header.Get("Cache-Control") != "private" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	for _, path := range []string{"/paid/again", "/free"} {
		resp, _ := send("GET", "chat", path, "", own, "Cookie: a=1; "+wallet+"; b=2", "Cookie: mana.guest=x", "X-Mana-User-Id: root")
		if resp.StatusCode != 200 || strings.Join(resp.Header["Set-Cookie"], "|") != "app=1" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		seen := w.Upstream.Last()
		if got := strings.Join(seen.Header["Cookie"], "|"); seen.URL.Path != path || strings.Contains(got, "guest") || !strings.Contains(got, "a=1") || !strings.Contains(got, "b=2") || seen.Header["X-Mana-User-Id"] != nil {
			t.Errorf("%s: the app sees %q of %v", path, got, seen.Header)
		}
	}

	// The guest has ten credits left, and signs up.
	const email = "ada@mana.localhost"
	resp, text := send("POST", "auth", "/api/v1/auth/register", `{"email":"`+email+`","password":"`+edgetest.SignUpPassword+`"}`,
		"Content-Type: application/json", "Origin: https://"+w.Host("auth"), "Cookie: "+wallet)
	if resp.StatusCode != 201 || len(resp.Header["Set-Cookie"]) != 2 || !strings.HasPrefix(resp.Header["Set-Cookie"][0], "__Secure-mana.guest=; Max-Age=0; Domain=.mana.localhost; ") {
		t.Fatalf("register: %d %v %s", resp.StatusCode, resp.Header, text)
	}
	rt := edgetest.LiveRuntime(t)
	ada, err := rt.Auth.UserByIDOrEmail(t.Context(), principal.Operator{Name: "test"}, email)
	if err != nil {
		t.Fatal(err)
	}
	edgetest.WantAvailable(t, rt.Credits, ada.ID, 0)
	if _, err := rt.Auth.VerifyEmail(t.Context(), principal.Operator{Name: "test"}, ada.ID); err != nil {
		t.Fatal(err)
	}
	edgetest.WantAvailable(t, rt.Credits, ada.ID, creditcore.Credits(10))
	if resp, text := send("GET", "chat", "/paid", "", own, "Cookie: "+wallet); resp.StatusCode != 402 || !strings.Contains(text, `"code":"GUEST_CREDITS_SPENT"`) {
		t.Errorf("the wallet after that: %d %s", resp.StatusCode, text)
	}
	// Guests without cookies end at the limit of their address: 60, of which 20 are gone.
	var served int
	for range 10 {
		if resp, _ := send("GET", "chat", "/paid", "", own); resp.StatusCode == 200 {
			served++
		}
	}
	if served != 8 {
		t.Errorf("%d were served, want 8", served)
	}
	edgetest.WantSound(t, rt.Credits)
}
