package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// The commands find the server of the running edge through its config, and
// what they change takes effect in it.
func TestCommandsWorkOnTheRunningEdge(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	mana := func(args ...string) string {
		return e.run(t, append([]string{"mana"}, append(args, "--config", e.config, "--json")...)...)
	}

	var schema struct{ Current, Latest int }
	decode(t, mana("migrate", "--status"), &schema)
	if schema.Current == 0 || schema.Current != schema.Latest {
		t.Errorf("schema %d of %d", schema.Current, schema.Latest)
	}

	var made struct{ ID, Email, Role, Password string }
	decode(t, mana("user", "create", "--email", "barbara@mana.how", "--role", "admin"), &made)
	a := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login",
		map[string]string{"email": made.Email, "password": made.Password}), http.StatusOK)
	bearer := "Bearer " + a.Text("accessToken")
	whoami := e.AppURL() + "/api/whoami"
	if got := want(t, send(t, e.client(), http.MethodGet, whoami, nil, "Authorization", bearer), http.StatusOK).Text("role"); got != "admin" {
		t.Errorf("the app was told role %q", got)
	}

	before := want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/api/v1/auth/jwks", nil), http.StatusOK)
	mana("keys", "rotate", "--now")
	want(t, send(t, e.client(), http.MethodGet, whoami, nil, "Authorization", bearer), http.StatusOK)
	after := want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/api/v1/auth/jwks", nil), http.StatusOK)
	if b, a := strings.Count(string(before.Body), `"kid"`), strings.Count(string(after.Body), `"kid"`); a <= b {
		t.Errorf("the rotation left %d keys in the set, before it had %d", a, b)
	}

	mana("user", "sessions", made.Email, "--revoke")
	refusedWithin(t, settle, e.client(), whoami, "Authorization", bearer)
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
