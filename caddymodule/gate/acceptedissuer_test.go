package gate_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// A token of an accepted issuer passes as who its user is here, and in steady state
// asks nobody: not the issuer, and not the database, which is gone.
func TestGateTakesTokensOfAnAcceptedIssuer(t *testing.T) {
	t.Parallel()
	key, err := token.NewKey(token.EdDSA, time.Now(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(token.NewKeySet([]token.Key{key}).JWKS(time.Now()))
	}))
	defer old.Close()
	db := pgtest.New(t)
	s := edgetest.GateService(t, db, func(c *authcore.Config) {
		c.AcceptedIssuers = []issuer.Config{{Issuer: "manacore", JWKS: old.URL}}
	})
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	sign := func(id string) string {
		signed, err := token.Sign(key, token.Claims{
			Subject: ada.User.ID, Email: "other@example.test", Role: principal.RoleAdmin, Issuer: "manacore", Audience: "manacore", ID: id, Expires: time.Now().Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		return "Authorization: Bearer " + signed
	}
	bearer := sign("first")
	pass := func(what string) {
		t.Helper()
		w, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", bearer, "X-Mana-Role: admin"))
		if up == nil || up.Header.Get("X-Mana-User-Id") != ada.User.ID || up.Header.Get("X-Mana-Role") != "user" || up.Header.Get("X-Mana-Email") != "ada@example.test" {
			t.Fatalf("%s: %d, %v", what, w.Code, up)
		}
	}
	pass("the first time")
	if w, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{Roles: []string{"admin"}}), edgetest.Ask("GET", "/", bearer)); up != nil || w.Code != http.StatusForbidden {
		t.Errorf("a role that the token says and the account has not: %d", w.Code)
	}
	old.Close()
	pass("without the issuer")
	db.Pool.Close()
	pass("without the database")
	if w, up := edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", sign("second"))); up != nil || w.Code != http.StatusServiceUnavailable {
		t.Errorf("a new token without the database: %d", w.Code)
	}
}
