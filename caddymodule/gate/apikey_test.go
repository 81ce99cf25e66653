package gate_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// countingGate is a gate that counts what keys are used.
func countingGate(s *authcore.Service, store limiter.Store, g *gate.Gate) *gate.Gate {
	g = edgetest.Gate(s, g)
	g.Bind(edgetest.StartedApp(func(context.Context) (*services.Runtime, error) {
		return &services.Runtime{Cores: services.Cores{Auth: s}, Limits: store}, nil
	}))
	return g
}

// An app gets a token of the key's user in the place of the key, and is told
// which key it is and what for.
func TestGateTakesAPIKeys(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	made, key := edgetest.NewAPIKey(t, s, ada, apikey.Order{Scopes: []string{"chat.read", "stt", "old scope"[:3]}})
	g := edgetest.Gate(s, &gate.Gate{})
	for name, headers := range map[string][]string{
		"bearer":                     {"Authorization: Bearer " + key},
		"header":                     {"X-Api-Key: " + key},
		"header beside basic":        {"X-Api-Key: " + key, "Authorization: Basic YTpi"},
		"both":                       {"Authorization: Bearer " + key, "X-Api-Key: " + key},
		"beside another's cookie":    {"Authorization: Bearer " + key, "Cookie: " + edgetest.NewPerson(t, s, "bob@example.test", "admin").Cookie},
		"with headers of its making": {"X-Api-Key: " + key, "X-Mana-Scopes: admin", "X_Mana_Key_Id: 1", "X-Mana-Session-Id: 1"},
	} {
		// Another site cannot make a browser send a key, so none is asked for.
		_, up := edgetest.Serve(t, g, edgetest.Ask("POST", "/", append(headers, "Origin: https://evil.test")...))
		if up == nil {
			t.Fatalf("%s: refused", name)
		}
		want := map[string]string{
			"X-Mana-User-Id": ada.User.ID, "X-Mana-Email": "ada@example.test", "X-Mana-Email-Verified": "true", "X-Mana-Role": "user",
			"X-Mana-Key-Id": made.ID, "X-Mana-Scopes": "chat.read,stt,old",
		}
		if diff := cmp.Diff(want, sealedOf(up)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if up.Header["X-Api-Key"] != nil || strings.Contains(strings.Join(up.Header["Authorization"], ""), key) || strings.Contains(up.Header.Get("Cookie"), "mana") {
			t.Errorf("%s: the app sees the client's credentials: %q", name, up.Header)
		}
		token, _ := request.Bearer(up.Header)
		claims, err := s.Verify(t.Context(), token)
		if err != nil || claims.Subject != ada.User.ID || claims.APIKeyID != made.ID || claims.Scopes != "chat.read,stt,old" {
			t.Errorf("%s: the token says %+v, %v", name, claims, err)
		}
		if auth := request.AuthOf(up.Context()); auth.ByCookie || auth.Principal.Kind != request.Key {
			t.Errorf("%s: behind the gate: %+v", name, auth)
		}
		// Another gate on the way knows the token for that of a key.
		_, up = edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{Scopes: []string{"stt"}}), up)
		if up == nil || cmp.Diff(want, sealedOf(up)) != "" {
			t.Errorf("%s: behind a second gate: %v", name, up)
		}
	}
}

func TestGateRefusesAPIKeys(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	_, key := edgetest.NewAPIKey(t, s, ada, apikey.Order{Scopes: []string{"chat.read"}})
	_, elsewhere := edgetest.NewAPIKey(t, s, ada, apikey.Order{AllowedAddresses: []string{"10.0.0.0/8"}})
	unknown := apikey.Prefix + strings.Repeat("0", 32)
	plain := edgetest.Gate(s, &gate.Gate{})
	reading := edgetest.Gate(s, &gate.Gate{Scopes: []string{"chat.read"}})
	writing := edgetest.Gate(s, &gate.Gate{Scopes: []string{"chat.read", "chat.write"}})
	optional := edgetest.Gate(s, &gate.Gate{Optional: true})
	admins := edgetest.Gate(s, &gate.Gate{Roles: []string{"admin"}})
	recent := edgetest.Gate(s, &gate.Gate{MaxAge: 1 << 50})
	const forbidden = "Forbidden: your role does not allow this"
	for _, c := range []struct {
		name    string
		gate    *gate.Gate
		headers []string
		status  int // 0 passes
		message string
	}{
		{"unknown", plain, []string{"Authorization: Bearer " + unknown}, 401, "Invalid token"},
		{"unknown, in its header", plain, []string{"X-Api-Key: " + unknown}, 401, "Invalid token"},
		{"unknown, and a good cookie", plain, []string{"X-Api-Key: " + unknown, "Cookie: " + ada.Cookie}, 401, "Invalid token"},
		{"a bad bearer, and a good key", plain, []string{"Authorization: Bearer a.b.c", "X-Api-Key: " + key}, 401, "Invalid token"},
		{"two keys", plain, []string{"X-Api-Key: " + key, "X-Api-Key: " + key}, 401, "No token provided"},
		{"a key of the app's", plain, []string{"X-Api-Key: app-key"}, 401, "No token provided"},
		{"from elsewhere", plain, []string{"X-Api-Key: " + elsewhere}, 403, "Forbidden: the API key is not for this address"},
		{"from elsewhere, where guests pass", optional, []string{"X-Api-Key: " + elsewhere}, 403, "Forbidden: the API key is not for this address"},
		{"with the scope", reading, []string{"X-Api-Key: " + key}, 0, ""},
		{"without a scope", writing, []string{"X-Api-Key: " + key}, 403, "Forbidden: the API key lacks a scope that this needs"},
		{"a user needs none", writing, []string{"Authorization: Bearer " + ada.Tokens.AccessToken}, 0, ""},
		{"a cookie needs none", writing, []string{"Cookie: " + ada.Cookie}, 0, ""},
		{"another role", admins, []string{"X-Api-Key: " + key}, 403, forbidden},
		{"a key shows nobody's face", recent, []string{"X-Api-Key: " + key}, 401, "Recent authentication required"},
	} {
		w, up := edgetest.Serve(t, c.gate, edgetest.Ask("GET", "/", c.headers...))
		if c.status == 0 {
			if up == nil {
				t.Errorf("%s: refused with %d", c.name, w.Code)
			}
			continue
		}
		var body struct{ Message, Code, Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || up != nil || w.Code != c.status || body.Message != c.message || body.Code == "" || body.Error != body.Code {
			t.Errorf("%s: %d %s, %v", c.name, w.Code, w.Body, err)
		}
		if body.Code == "SCOPE_REQUIRED" && w.Header().Get("WWW-Authenticate") != `Bearer error="insufficient_scope", scope="chat.read chat.write"` {
			t.Errorf("%s: WWW-Authenticate %q", c.name, w.Header().Get("WWW-Authenticate"))
		}
	}
	// Where guests pass, a key that is none makes a guest, and does not go on.
	for _, header := range []string{"X-Api-Key", "Authorization"} {
		value := map[string]string{"X-Api-Key": unknown, "Authorization": "Bearer " + unknown}[header]
		_, up := edgetest.Serve(t, optional, edgetest.Ask("GET", "/", header+": "+value))
		if up == nil || len(sealedOf(up)) > 0 || up.Header[header] != nil {
			t.Errorf("a bad key in %s where guests pass: %v", header, up)
		}
	}
	if _, up := edgetest.Serve(t, optional, edgetest.Ask("GET", "/", "X-Api-Key: app-key")); up == nil || up.Header.Get("X-Api-Key") != "app-key" {
		t.Error("a key of the app's does not reach it")
	}
}

// A key has its own rate on all sites together, and what it costs others nobody.
func TestGateCountsAPIKeys(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	_, slow := edgetest.NewAPIKey(t, s, ada, apikey.Order{Requests: 2, Window: 3600})
	_, other := edgetest.NewAPIKey(t, s, ada, apikey.Order{})
	store := memory.NewStore()
	sites := []*gate.Gate{countingGate(s, store, &gate.Gate{}), countingGate(s, store, &gate.Gate{Optional: true})}
	for i := range 4 {
		w, up := edgetest.Serve(t, sites[i%2], edgetest.Ask("GET", "/", "X-Api-Key: "+slow))
		if i < 2 {
			if up == nil {
				t.Errorf("request %d: %d", i, w.Code)
			}
			continue
		}
		edgetest.WantRefusal(t, w, up, 429, "Request failed: rate limit of the API key exceeded, please try again later")
		if after := w.Header().Get("Retry-After"); after == "" || after == "0" {
			t.Errorf("Retry-After %q", after)
		}
	}
	for _, credential := range []string{"X-Api-Key: " + other, "Authorization: Bearer " + ada.Tokens.AccessToken} {
		if w, up := edgetest.Serve(t, sites[0], edgetest.Ask("GET", "/", credential)); up == nil {
			t.Errorf("another credential of the user: %d", w.Code)
		}
	}
}

// What is open of a key ends with it, and nothing else of its user.
func TestLiveStreamsEndWithTheAPIKey(t *testing.T) {
	l := edgetest.StartLive(t, "", "mana_auth")
	ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
	made, key := edgetest.NewAPIKey(t, l.Auth, ada, apikey.Order{})
	_, other := edgetest.NewAPIKey(t, l.Auth, ada, apikey.Order{})
	socket := l.OpenSocket(t, "Authorization: Bearer "+key)
	events := l.OpenEvents(t, "X-Api-Key: "+key)
	bystanders := []edgetest.Stream{
		l.OpenSocket(t, "X-Api-Key: "+other), l.OpenSocket(t, "Authorization: Bearer "+ada.Tokens.AccessToken), l.OpenSocket(t, "Cookie: "+ada.Cookie),
	}
	// Another edge revokes it.
	if err := l.Auth.RevokeAPIKeyOf(t.Context(), principal.Operator{Name: "test"}, made.ID); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	socket.WantEnd(t, "socket")
	events.WantEnd(t, "events")
	if took := time.Since(revoked); took > 2*time.Second {
		t.Errorf("they ended after %v", took)
	}
	for _, s := range bystanders {
		s.WantAlive(t)
	}
	if resp := l.Do(t, l.Request(t, "GET", "/", "X-Api-Key: "+key)); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}
