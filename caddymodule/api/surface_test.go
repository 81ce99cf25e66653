package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/api"
)

// TestTable pins the routes, so that none appears or goes unnoticed.
func TestTable(t *testing.T) {
	t.Parallel()
	want := []string{
		"POST /api/v1/auth/register", "GET /api/v1/auth/signup-status", "GET /api/v1/auth/challenge", "POST /api/v1/auth/login",
		"POST /api/v1/auth/login/second-factor", "POST /api/v1/auth/login/code", "POST /api/v1/auth/logout",
		"POST /api/v1/auth/refresh", "GET /api/v1/auth/session", "POST /api/v1/auth/validate", "POST /api/v1/auth/ticket",
		"POST /api/v1/auth/session-to-token",
		"GET /api/v1/auth/jwks", "GET /api/auth/jwks", "GET /.well-known/jwks.json", "GET /api/oidc/jwks",
		"GET /api/v1/internal/users/{userId}", "POST /api/v1/internal/users/lookup",
		"GET /api/v1/auth/profile", "POST /api/v1/auth/profile", "POST /api/v1/auth/change-password",
		"POST /api/v1/auth/forgot-password", "POST /api/v1/auth/reset-password", "POST /api/v1/auth/resend-verification",
		"DELETE /api/v1/auth/account",
		"GET /api/v1/auth/sessions", "DELETE /api/v1/auth/sessions", "DELETE /api/v1/auth/sessions/{id}",
		"GET /api/v1/auth/two-factor", "POST /api/v1/auth/reauthenticate", "POST /api/v1/auth/change-email",
		"GET /api/v1/auth/security-events",
		"GET /api/auth/get-session", "POST /api/auth/sign-in/email",
		"POST /api/auth/two-factor/enable", "POST /api/auth/two-factor/disable", "POST /api/auth/two-factor/generate-backup-codes",
		"POST /api/auth/two-factor/verify-totp", "POST /api/auth/two-factor/verify-backup-code",
		"POST /api/auth/magic-link/send-magic-link", "POST /api/auth/sign-in/magic-link", "POST /api/auth/sign-out",
		"GET /api/v1/auth/passkeys/capability", "POST /api/v1/auth/passkeys/register/options", "POST /api/v1/auth/passkeys/register/verify",
		"POST /api/v1/auth/passkeys/authenticate/options", "POST /api/v1/auth/passkeys/authenticate/verify",
		"POST /api/v1/auth/login/second-factor/passkey",
		"GET /api/v1/auth/passkeys", "PATCH /api/v1/auth/passkeys/{id}", "DELETE /api/v1/auth/passkeys/{id}",
		"POST /api/auth/sign-in/social", "GET /api/auth/sign-in/social/{provider}", "GET /api/auth/callback/{provider}",
		"POST /api/auth/callback/{provider}", "POST /login/address", "POST /api/auth/link-social",
		"POST /api/v1/auth/google-signin", "POST /api/v1/auth/apple-signin", "GET /api/v1/auth/accounts", "DELETE /api/v1/auth/accounts/{id}",
		"GET /account/sign-ins", "POST /account/sign-ins",
		"GET /accept-invitation", "GET /account/organizations", "POST /account/organizations",
		"GET /account/organizations/{id}", "POST /account/organizations/{id}",
		"POST /api/v1/auth/register/b2b", "GET /api/v1/auth/organizations", "POST /api/v1/auth/organizations",
		"POST /api/v1/auth/organizations/accept-invitation", "POST /api/v1/auth/organizations/set-active",
		"GET /api/v1/auth/organizations/{id}", "PUT /api/v1/auth/organizations/{id}", "DELETE /api/v1/auth/organizations/{id}",
		"POST /api/v1/auth/organizations/{id}/transfer", "POST /api/v1/auth/organizations/{id}/invite",
		"GET /api/v1/auth/organizations/{id}/invitations", "GET /api/v1/auth/organizations/{id}/members",
		"DELETE /api/v1/auth/organizations/{id}/members/{memberId}", "PATCH /api/v1/auth/organizations/{id}/members/{memberId}/role",
		"GET /api/v1/auth/invitations", "DELETE /api/v1/auth/invitations/{id}",
		"GET /api/v1/internal/org/{orgId}/member/{userId}", "GET /api/v1/internal/users/{userId}/memberships",
		"GET /api/v1/api-keys", "POST /api/v1/api-keys", "DELETE /api/v1/api-keys/{id}", "POST /api/v1/api-keys/validate",
		"POST /api/v1/api/v1/auth/matrix-user-links", "GET /api/v1/api/v1/auth/matrix-user-links/check/{matrixUserId}",
		"DELETE /api/v1/api/v1/auth/matrix-user-links/{matrixUserId}", "GET /api/v1/api/v1/auth/matrix-session/{matrixUserId}",
		"POST /api/v1/auth/matrix-user-links", "GET /api/v1/auth/matrix-user-links/check/{matrixUserId}",
		"DELETE /api/v1/auth/matrix-user-links/{matrixUserId}", "GET /api/v1/auth/matrix-session/{matrixUserId}",
		"GET /api/v1/settings", "PATCH /api/v1/settings/global", "PATCH /api/v1/settings/app/{appId}", "DELETE /api/v1/settings/app/{appId}",
		"GET /api/v1/settings/devices", "GET /api/v1/settings/device/{deviceId}/{appId}", "PATCH /api/v1/settings/device/{deviceId}/{appId}",
		"DELETE /api/v1/settings/device/{deviceId}/{appId}", "DELETE /api/v1/settings/device/{deviceId}",
		"GET /.well-known/openid-configuration", "GET /.well-known/oauth-authorization-server", "GET /consent", "POST /consent", "GET /device", "POST /device", "GET /sign-out", "POST /sign-out",
		"GET /api/auth/oauth2/authorize", "POST /api/auth/oauth2/authorize", "POST /api/auth/oauth2/token", "GET /api/auth/oauth2/userinfo", "POST /api/auth/oauth2/userinfo", "POST /api/auth/oauth2/introspect", "POST /api/auth/oauth2/revoke", "POST /api/auth/oauth2/device_authorization", "POST /api/auth/oauth2/register", "GET /api/auth/oauth2/endsession", "POST /api/auth/oauth2/endsession", "POST /api/auth/oauth2/consent", "GET /api/auth/oauth2/client/{id}",
		"GET /api/oidc/authorize", "POST /api/oidc/authorize", "POST /api/oidc/token", "GET /api/oidc/userinfo", "POST /api/oidc/userinfo", "POST /api/oidc/introspect", "POST /api/oidc/revoke", "POST /api/oidc/device_authorization", "POST /api/oidc/register", "GET /api/oidc/endsession", "POST /api/oidc/endsession", "POST /api/oidc/consent", "GET /api/oidc/client/{id}",
		"GET /api/v1/me/data", "GET /api/v1/me/data/export", "DELETE /api/v1/me/data",
		"GET /api/v1/admin/users", "GET /api/v1/admin/users/{userId}/data", "DELETE /api/v1/admin/users/{userId}/data",
		"GET /api/v1/api/v1/admin/users", "GET /api/v1/api/v1/admin/users/{userId}/data", "DELETE /api/v1/api/v1/admin/users/{userId}/data",
		"PATCH /api/v1/admin/users/{userId}", "GET /api/v1/admin/users/{userId}/security-events", "DELETE /api/v1/admin/users/{userId}/sessions",
		"POST /api/v1/admin/users/{userId}/reset-factor",
		"GET /admin", "GET /admin/users", "GET /admin/users/{id}", "POST /admin/users/{id}", "GET /admin/organizations", "GET /admin/organizations/{id}", "POST /admin/organizations/{id}",
		"GET /admin/ledger", "GET /admin/ledger/{id}", "POST /admin/ledger/{id}", "GET /admin/gifts", "GET /admin/coupons", "POST /admin/coupons", "GET /admin/abuse", "GET /admin/abuse/{id}", "POST /admin/abuse/{id}", "GET /admin/sales", "GET /admin/api-keys", "POST /admin/api-keys", "GET /admin/clients", "POST /admin/clients", "GET /admin/alerts", "GET /admin/events",
		"GET /admin/outbox", "POST /admin/outbox", "GET /admin/webhooks", "POST /admin/webhooks", "GET /admin/webhooks/{id}", "POST /admin/webhooks/{id}", "GET /admin/signing-keys", "POST /admin/signing-keys", "GET /admin/edges", "GET /admin/search", "GET /admin/books", "GET /admin/books/{kind}", "GET /admin/prices", "GET /admin/prices/{id}", "POST /admin/prices/{id}", "GET /admin/price-draft", "POST /admin/price-draft",
		"POST /api/v1/storage/avatar/upload-url", "POST /api/v1/storage/avatar", "PUT /api/v1/storage/upload/{token}", "GET /files/avatars/{user}/{name}",
		"GET /", "GET /favicon.ico", "GET /favicon.svg", "GET /brand/{file}",
		"GET /login", "POST /login", "GET /login/link", "POST /login/link",
		"GET /api/auth/magic-link/verify", "POST /api/auth/magic-link/verify", "GET /two-factor", "POST /two-factor",
		"GET /reauthenticate", "POST /reauthenticate", "GET /api/auth/change-email/verify", "POST /api/auth/change-email/verify",
		"GET /api/auth/change-email/undo", "POST /api/auth/change-email/undo",
		"GET /register", "POST /register",
		"GET /api/auth/verify-email", "POST /api/auth/verify-email", "GET /verification-failed",
		"GET /resend-verification", "POST /resend-verification", "GET /forgot-password", "POST /forgot-password",
		"GET /api/auth/reset-password/{token}", "GET /reset-password", "POST /reset-password",
		"GET /account", "POST /account", "POST /account/picture", "GET /account/email", "POST /account/email",
		"GET /account/password", "POST /account/password", "GET /account/two-factor", "POST /account/two-factor",
		"GET /account/passkeys", "POST /account/passkeys", "GET /account/devices", "POST /account/devices", "GET /account/apps", "POST /account/apps", "GET /account/events",
		"GET /account/preferences", "POST /account/preferences", "GET /account/data", "POST /account/data/export", "POST /account/data",
		"GET /api/v1/openapi.json", "GET /api-docs-json", "GET /api/v1/postman.json", "GET /api/v1/bruno.json", "GET /api-docs",
		"GET /health", "GET /health/live", "GET /health/ready",
		"GET /api/v1/health", "GET /api/v1/health/live", "GET /api/v1/health/ready",
		"GET /api/v1/credits/organizations/{id}/balance", "GET /api/v1/credits/organizations/{id}/transactions",
		"GET /api/v1/credits/organizations/{id}/allotments", "GET /api/v1/credits/organizations/{id}/allotments/{userId}",
		"PUT /api/v1/credits/organizations/{id}/allotments/{userId}", "DELETE /api/v1/credits/organizations/{id}/allotments/{userId}",
		"GET /api/v1/internal/credits/organizations/{id}/balance",
		"GET /api/v1/credits/alerts", "GET /api/v1/credits/alerts/settings", "PUT /api/v1/credits/alerts/settings", "POST /account/credits",
		"GET /api/v1/credits/roots", "GET /api/v1/credits/roots/{day}", "GET /api/v1/credits/jwks", "GET /api/v1/credits/proof",
		"GET /api/v1/credits/balance", "GET /api/v1/credits/balance/{userId}", "POST /api/v1/credits/use", "POST /api/v1/credits/use/batch",
		"GET /api/v1/credits/prices", "POST /api/v1/credits/quote",
		"POST /api/v1/credits/refund", "GET /api/v1/credits/transactions", "GET /api/v1/credits/usage",
		"POST /api/v1/credits/check", "GET /api/v1/internal/credits/balance/{userId}", "POST /api/v1/internal/credits/init",
		"POST /api/v1/internal/credits/use", "POST /api/v1/internal/credits/refund", "POST /api/v1/internal/credits/grant",
		"POST /api/v1/internal/credits/reserve", "POST /api/v1/internal/credits/commit", "POST /api/v1/internal/credits/refund-reservation", "GET /account/credits", "GET /account/credits/history.csv",
		"POST /api/v1/credits/coupons/redeem", "POST /api/v1/gifts", "GET /api/v1/gifts/me/created", "GET /api/v1/gifts/me/received", "GET /api/v1/gifts/{gift}",
		"POST /api/v1/gifts/{gift}/redeem", "DELETE /api/v1/gifts/{gift}", "POST /api/v1/internal/gifts/redeem-pending", "GET /g/{gift}",
		"POST /g/{gift}", "GET /account/gifts", "POST /account/gifts",
		"GET /api/v1/credits/packages", "GET /api/v1/credits/purchases", "GET /api/v1/credits/purchase/{purchaseId}",
		"POST /api/v1/credits/purchase", "POST /api/v1/credits/payment-link",
		"POST /api/v1/webhooks/stripe", "POST /webhooks/stripe",
		"GET /api/v1/subscriptions/plans", "GET /api/v1/subscriptions/plans/{planId}", "GET /api/v1/subscriptions/current",
		"GET /api/v1/subscriptions/invoices", "POST /api/v1/subscriptions/checkout", "POST /api/v1/subscriptions/seats", "POST /api/v1/subscriptions/portal",
		"POST /api/v1/subscriptions/cancel", "POST /api/v1/subscriptions/reactivate",
		"GET /api/v1/credits/auto-top-up", "PUT /api/v1/credits/auto-top-up", "POST /api/v1/credits/auto-top-up/card",
		"DELETE /api/v1/credits/auto-top-up/card", "POST /api/v1/credits/auto-top-up/confirm",
		"GET /account/credits/buy", "POST /account/credits/buy", "GET /account/credits/auto-top-up", "POST /account/credits/auto-top-up",
	}
	var got []string
	for _, row := range api.Table() {
		got = append(got, row.Method+" "+row.Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for _, row := range []struct{ method, path, text string }{
		{"GET", "/nope?token=secret", "Cannot GET /nope"},
		{"POST", "/api/v1/auth/register/b2c", "Cannot POST /api/v1/auth/register/b2c"},
		{"GET", "/api/v1/auth//profile", "Cannot GET /api/v1/auth//profile"},
		{"GET", "/api/v1/auth/../auth/jwks", "Cannot GET /api/v1/auth/../auth/jwks"},
		{"GET", "/API/v1/auth/jwks", "Cannot GET /API/v1/auth/jwks"},
		{"DELETE", "/api/v1/auth/sessions/a/b", "Cannot DELETE /api/v1/auth/sessions/a/b"},
	} {
		got := s.send(row.method, row.path, nil).status(404).message(row.text).object()
		if got["statusCode"] != 404.0 || got["error"] != "NOT_FOUND" || got["code"] != "NOT_FOUND" || got["timestamp"] == nil || strings.Contains(got["path"].(string), "?") {
			t.Errorf("%s %s: %v", row.method, row.path, got)
		}
	}
	betterAuth := s.send("POST", "/api/auth/sign-up/email", nil).status(404).object()
	if betterAuth["message"] != "Cannot POST /api/auth/sign-up/email" || betterAuth["statusCode"] != nil {
		t.Errorf("404 of Better Auth: %v", betterAuth)
	}
	long := s.send("GET", "/"+strings.Repeat("a", 100_000), nil).status(404)
	if len(long.body) > 2000 {
		t.Errorf("a long path is echoed in %d bytes", len(long.body))
	}
}

// A path that exists tells which methods it has.
func TestMethodsThatAPathLacks(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for _, row := range []struct{ method, path, allow string }{
		{"DELETE", "/api/v1/auth/login", "POST, OPTIONS"},
		{"TRACE", "/health", "GET, HEAD, OPTIONS"},
		{"PUT", "/api/v1/auth/sessions/some-id", "DELETE, OPTIONS"},
		{"PATCH", "/api/v1/gifts/ABCDEF", "GET, DELETE, HEAD, OPTIONS"},
		{"GET", "/api/auth/sign-out", "POST, OPTIONS"},
		{"DELETE", "/login", "GET, POST, HEAD, OPTIONS"},
	} {
		got := s.send(row.method, row.path, nil).status(405).message("Cannot " + row.method + " " + row.path)
		if allow := got.header.Get("Allow"); allow != row.allow {
			t.Errorf("%s %s: Allow %q, want %q", row.method, row.path, allow, row.allow)
		}
		if got.header.Get("X-Ratelimit-Limit") != "" {
			t.Errorf("%s %s counts against a limit", row.method, row.path)
		}
	}
}

func TestTrailingSlashAndHead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.send("GET", "/health/", nil).status(200)
	s.send("POST", "/api/v1/auth/logout/", nil).status(200)
	got := s.send("HEAD", "/api/v1/auth/jwks", nil).status(200)
	if got.body != "" || got.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %q %v", got.body, got.header)
	}
	s.send("HEAD", "/api/v1/auth/login", nil).status(405)
}

func TestEveryRouteBeforeTheAppHasStarted(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for _, row := range api.Table() {
		got := s.send(row.Method, row.URL(), nil)
		switch {
		case row.Path == "/brand/{file}": // none of that name
			got.status(404)
		case strings.HasSuffix(row.Path, "/ready"):
			got.status(503)
		case !row.Core:
			got.status(200)
		default:
			got.status(503)
			if got.header.Get("Retry-After") != "5" {
				t.Errorf("%s %s: Retry-After %q", row.Method, row.Path, got.header.Get("Retry-After"))
			}
			if !row.Page && !strings.Contains(got.body, "database connection unavailable, please retry") {
				t.Errorf("%s %s: %s", row.Method, row.Path, got.body)
			}
		}
	}
	s.send("POST", "/api/v1/auth/refresh", nil).message("Request failed: database connection unavailable, please retry")
}

func TestEveryBearerRouteRefusesGuests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, row := range api.Table() {
		switch got := s.send(row.Method, row.URL(), nil); {
		case row.Bearer:
			want := "No token provided"
			if strings.Contains(row.Path, "/v1/admin/") {
				want = "Missing authorization token"
			}
			got.status(401).message(want)
		case row.Service:
			got.status(401)
		}
	}
}

func TestSecurityHeadersOnEveryAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	paths := []api.Row{{Method: "GET", Path: "/nope"}, {Method: "OPTIONS", Path: "/health"}}
	for _, row := range append(api.Table(), paths...) {
		h := s.send(row.Method, row.URL(), nil).header
		for name, want := range map[string]string{
			"Cross-Origin-Opener-Policy":        "same-origin-allow-popups",
			"Strict-Transport-Security":         "max-age=31536000; includeSubDomains",
			"Origin-Agent-Cluster":              "?1",
			"X-Content-Type-Options":            "nosniff",
			"X-Dns-Prefetch-Control":            "off",
			"X-Download-Options":                "noopen",
			"X-Permitted-Cross-Domain-Policies": "none",
			"X-Xss-Protection":                  "0",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s %s: %s is %q", row.Method, row.Path, name, got)
			}
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "frame-ancestors 'none'") || h.Get("X-Powered-By") != "" {
			t.Errorf("%s %s: policy %q", row.Method, row.Path, csp)
		}
		if !row.Page && (h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Frame-Options") != "SAMEORIGIN" ||
			h.Get("Cross-Origin-Resource-Policy") != "cross-origin" || !strings.Contains(csp, "upgrade-insecure-requests")) {
			t.Errorf("%s %s: %v", row.Method, row.Path, h)
		}
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	preflight := func(origin string) http.Header {
		return s.send("OPTIONS", "/api/v1/auth/session-to-token", nil, with("Origin", origin),
			with("Access-Control-Request-Method", "POST"), with("Access-Control-Request-Headers", "content-type,authorization")).
			status(204).header
	}
	h := preflight(app)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      app,
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "GET,POST,PUT,DELETE,PATCH,OPTIONS",
		"Access-Control-Allow-Headers":     "Content-Type,Authorization,X-Requested-With,X-App-Id,Idempotency-Key,X-Altcha",
		"Access-Control-Max-Age":           "600",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, origin := range []string{foreign, "null", "https://example.test.evil.test", "http://chat.example.test", "https://evil-example.test"} {
		if h := preflight(origin); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s is allowed: %v", origin, h)
		}
		h := s.send("GET", "/api/auth/get-session", nil, with("Origin", origin)).status(200).header
		if h.Get("Access-Control-Allow-Origin") != "" || !strings.Contains(strings.Join(h["Vary"], ","), "Origin") {
			t.Errorf("%s: %v", origin, h)
		}
	}
	h = s.send("GET", "/api/auth/get-session", nil, with("Origin", app)).status(200).header
	if h.Get("Access-Control-Allow-Origin") != app || h.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("get-session from an app: %v", h)
	}
	h = s.send("POST", "/api/v1/auth/login", "{", with("Origin", app)).status(400).header
	if h.Get("Access-Control-Allow-Origin") != app {
		t.Error("an app cannot read an error")
	}
	if h := s.send("GET", "/login", nil, with("Origin", app)).header; h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("an app can read a page")
	}
	h = s.send("OPTIONS", "/api/v1/auth/profile", nil).status(204).header
	if h.Get("Allow") != "GET, POST, HEAD, OPTIONS" {
		t.Errorf("Allow: %q", h.Get("Allow"))
	}
	s.send("OPTIONS", "/nope", nil).status(404)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, prefix := range []string{"", "/api/v1"} {
		got := s.send("GET", prefix+"/health", nil).status(200).object()
		if got["status"] != "ok" || got["timestamp"] == nil || got["uptime"] == nil {
			t.Errorf("health: %v", got)
		}
		if diff := cmp.Diff(map[string]any{"status": "ok"}, s.send("GET", prefix+"/health/live", nil).status(200).object()); diff != "" {
			t.Error(diff)
		}
		checks, _ := s.send("GET", prefix+"/health/ready", nil).status(200).object()["checks"].(map[string]any)
		database, _ := checks["database"].(map[string]any)
		if database["status"] != "ok" || database["latency"] == nil {
			t.Errorf("database: %v", checks)
		}
		if diff := cmp.Diff(map[string]any{"status": "not_configured"}, checks["redis"]); diff != "" {
			t.Error(diff)
		}
	}
	down := bare(t).send("GET", "/health/ready", nil).status(503)
	checks, _ := down.object()["checks"].(map[string]any)
	want := map[string]any{"status": "error", "error": "database does not answer"}
	if diff := cmp.Diff(want, checks["database"]); diff != "" || down.text("status") != "error" {
		t.Errorf("down: %s%s", diff, down.body)
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	access, refresh := s.login("ada@example.test")
	s.db.Pool.Close()
	away := "database connection unavailable, please retry"
	for _, got := range []answer{
		s.send("POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": testPassword}),
		s.send("GET", "/api/v1/auth/profile", nil, bearer(access)),
	} {
		got.status(503).message(away)
		if got.header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
		}
	}
	s.send("POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}).status(503).message("Request failed: " + away)
	s.send("GET", "/health/ready", nil).status(503)
	s.send("GET", "/health", nil).status(200)
	if got := s.send("POST", "/api/v1/auth/validate", map[string]any{"token": access}).status(200).object(); got["valid"] != true {
		t.Errorf("validate needs the database: %v", got)
	}
	s.send("GET", "/api/v1/auth/jwks", nil).status(200)
}

// TestUnknownErrorsTellNothing makes the database fail in a way no table knows.
func TestUnknownErrorsTellNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(_ *api.Config, d *api.Deps) {
		d.SameSite = func(*http.Request) error { panic(errors.New("secret detail")) }
	})
	got := s.send("POST", "/api/auth/sign-out", nil, with("Cookie", "a=b")).status(500)
	if got.text("message") != "Internal server error" || strings.Contains(got.body, "secret") {
		t.Errorf("answer %s", got.body)
	}
	if id := got.text("requestId"); len(id) < 16 || !strings.Contains(s.log.String(), id) || !strings.Contains(s.log.String(), "secret detail") {
		t.Errorf("request id %q, log %q", id, s.log.String())
	}
}
