package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/pgtest"
)

// PostgreSQL goes away for ten seconds: who is signed in goes on, what needs
// the database says so at once and in words that keep clients signed in, and
// everything heals by itself.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	e := startEdgeOn(t, dsn)
	register(t, e, "edsger@mana.how", "192.0.2.9")
	access, refresh := login(t, e, "edsger@mana.how", "192.0.2.9")
	browser := e.client()
	signIn(t, e, browser, "edsger@mana.how")
	whoami := e.AppURL() + "/api/whoami"
	want(t, send(t, browser, http.MethodGet, whoami, nil), http.StatusOK)

	relay.Cut(true)
	away := time.Now()
	for time.Since(away) < 10*time.Second {
		want(t, send(t, e.client(), http.MethodGet, whoami, nil, "Authorization", "Bearer "+access), http.StatusOK)
		want(t, send(t, browser, http.MethodGet, whoami, nil), http.StatusOK)
		want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/health", nil), http.StatusOK)
		ready := want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/health/ready", nil), http.StatusServiceUnavailable)
		checks, _ := ready.JSON()["checks"].(map[string]any)
		database, _ := checks["database"].(map[string]any)
		if database["status"] != "error" {
			t.Errorf("ready says %s", ready.Body)
		}
		for path, body := range map[string]map[string]string{
			"refresh": {"refreshToken": refresh},
			"login":   {"email": "edsger@mana.how", "password": password},
		} {
			asked := time.Now()
			a := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/"+path, body, "X-Forwarded-For", "192.0.2.10"), http.StatusServiceUnavailable)
			if took := time.Since(asked); took > 5*time.Second {
				t.Errorf("%s answered after %v", path, took)
			}
			if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Text("message"), "connection") {
				t.Errorf("%s: Retry-After %q, message %q", path, a.Header.Get("Retry-After"), a.Text("message"))
			}
		}
		time.Sleep(time.Second)
	}
	relay.Cut(false)

	healed := time.Now()
	for {
		a := send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh})
		if a.StatusCode == http.StatusOK {
			refresh = a.Text("refreshToken")
			break
		}
		if time.Since(healed) > 15*time.Second {
			t.Fatalf("not healed after 15 s: %d: %s", a.StatusCode, a.Body)
		}
		time.Sleep(100 * time.Millisecond)
	}
	// Revocations travel again.
	time.Sleep(3 * time.Second)
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": refresh}), http.StatusOK)
	refusedWithin(t, time.Second, e.client(), whoami, "Authorization", "Bearer "+access)
}
