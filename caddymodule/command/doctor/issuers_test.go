package doctor_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestDoctorOnAcceptedIssuers(t *testing.T) {
	t.Parallel()
	key, err := token.NewKey(token.EdDSA, time.Now(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jwks" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(token.NewKeySet([]token.Key{key}).JWKS(time.Now()))
	}))
	defer old.Close()
	app := edgetest.With(edgetest.ExternalApp(pgtest.New(t)), "accepted_issuers", []any{
		map[string]any{"issuer": "right", "jwks_url": old.URL + "/jwks"},
		map[string]any{"issuer": "wrong", "jwks_url": old.URL + "/elsewhere"},
	})
	found, err := edgetest.Findings(t, app)
	if err == nil {
		t.Error("an issuer without keys is no failure")
	}
	for issuer, want := range map[string][2]string{"right": {"ok", "1 keys"}, "wrong": {"fail", "status 404"}} {
		if f := found["accept_issuer "+issuer]; f.Status != want[0] || !strings.Contains(f.Detail, want[1]) {
			t.Errorf("%s: %+v", issuer, f)
		}
	}
}
