package gate_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// assertionOf verifies the assertion of a request.
func assertionOf(t *testing.T, verify func(string) ([]byte, token.Header, error), h http.Header) token.Assertion {
	t.Helper()
	values := h["X-Mana-Assertion"]
	if len(values) != 1 {
		t.Fatalf("assertions: %q", values)
	}
	payload, head, err := verify(values[0])
	if err != nil || head.Type != "mana-assertion+jwt" {
		t.Fatalf("typ %q, %v", head.Type, err)
	}
	var a token.Assertion
	if err := json.Unmarshal(payload, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestGateAssertion(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	bearer := "Authorization: Bearer " + ada.Tokens.AccessToken
	for audience, want := range map[string]string{"": "chat.example.test", "the-chat": "the-chat"} {
		g := edgetest.Gate(s, &gate.Gate{Optional: true, Assertion: &gate.Assertion{Audience: audience}})
		_, up := edgetest.Serve(t, g, edgetest.Ask("PATCH", "https://CHAT.example.test:8443/a%2Fb/c?d=1&e=%20", bearer, "X-Mana-Assertion: forged", "x_mana_assertion: forged", "Origin: "+edgetest.GateApp))
		a := assertionOf(t, s.VerifyPayload, up.Header)
		query := sha256.Sum256([]byte("d=1&e=%20"))
		if a.Audience != want || a.Issuer != edgetest.GateBase || a.Subject != ada.User.ID || a.SessionID != ada.Tokens.SessionID || a.Role != "user" ||
			a.Email != ada.User.Email || !a.EmailVerified || a.Method != "PATCH" || a.Host != "CHAT.example.test:8443" || a.Path != "/a%2Fb/c" ||
			a.QueryHash != base64.RawURLEncoding.EncodeToString(query[:]) || a.Expires-a.IssuedAt != 60 || a.ID == "" ||
			time.Since(time.Unix(a.IssuedAt, 0)).Abs() > time.Minute {
			t.Errorf("%+v", a)
		}
		_, up = edgetest.Serve(t, g, edgetest.Ask("GET", "/", "X-Mana-Assertion: forged"))
		if up == nil || up.Header["X-Mana-Assertion"] != nil {
			t.Errorf("a guest is asserted: %v", up)
		}
	}
	_, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", bearer))
	if up.Header["X-Mana-Assertion"] != nil {
		t.Error("asserted where nobody asked for it")
	}
	if err := (&gate.Gate{Off: true, Assertion: &gate.Assertion{}}).Validate(); err == nil {
		t.Error("off and assertion stand together")
	}
}

// What is asserted is the request that the app gets.
func TestLiveAssertion(t *testing.T) {
	l := edgetest.StartLive(t, "", "mana_auth {\n assertion\n}")
	ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
	for _, asked := range []string{"/", "/a%20b/c%2Fd?x=1&y=%C3%B6&z=a+b", "/q?a=b&&c"} {
		for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: " + ada.Cookie} {
			resp := l.Do(t, l.Request(t, "GET", asked, credential))
			var seen edgetest.Seen
			if err := json.NewDecoder(resp.Body).Decode(&seen); err != nil || resp.StatusCode != 200 {
				t.Fatalf("%s: %d, %v", asked, resp.StatusCode, err)
			}
			a := assertionOf(t, l.Auth.VerifyPayload, seen.Header)
			query := sha256.Sum256([]byte(seen.Query))
			if a.Method != seen.Method || a.Host != seen.Host || a.Path != seen.Path || a.QueryHash != base64.RawURLEncoding.EncodeToString(query[:]) || a.Audience != "chat.mana.localhost" {
				t.Errorf("the app got %s %s %s ? %s, asserted is %+v", seen.Method, seen.Host, seen.Path, seen.Query, a)
			}
		}
	}
}

func BenchmarkGateAssertion(b *testing.B) {
	s := edgetest.GateService(b, pgtest.New(b))
	ada := edgetest.NewPerson(b, s, "ada@example.test", "user")
	edgetest.BenchmarkHandler(b, edgetest.Gate(s, &gate.Gate{Assertion: &gate.Assertion{}}), func() *http.Request {
		return edgetest.Ask("GET", "/", "Authorization: Bearer "+ada.Tokens.AccessToken, "Accept: application/json", "Connection: keep-alive", "User-Agent: bench")
	})
}
