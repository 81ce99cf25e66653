package doctor_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// endpoints is a Stripe that knows of webhook endpoints only.
func endpoints(t testing.TB, status int, list ...map[string]any) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/webhook_endpoints" || r.Header.Get("Authorization") != "Bearer sk_test_doctor" {
			t.Errorf("%s with %q", r.URL, r.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		body := map[string]any{"object": "list", "url": "/v1/webhook_endpoints", "has_more": false, "data": list}
		if status != 200 {
			body = map[string]any{"error": map[string]any{"type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_doctor"}}
		}
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestDoctorOnStripe(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	good := map[string]any{
		"object": "webhook_endpoint", "url": "https://auth.example.com/api/v1/webhooks/stripe", "status": "enabled", "enabled_events": billing.EventTypes(),
	}
	for name, tt := range map[string]struct {
		url                 string
		secret              []string
		check, status, want string
	}{
		"all is well":     {endpoints(t, 200, good), []string{"whsec_1"}, "stripe webhook", "ok", "/api/v1/webhooks/stripe"},
		"test mode":       {endpoints(t, 200, good), []string{"whsec_1"}, "stripe", "ok", "test mode"},
		"every event":     {endpoints(t, 200, edgetest.With(good, "enabled_events", []string{"*"})), []string{"whsec_1"}, "stripe webhook", "ok", ""},
		"no endpoint":     {endpoints(t, 200), []string{"whsec_1"}, "stripe webhook", "warn", "no endpoint"},
		"disabled":        {endpoints(t, 200, edgetest.With(good, "status", "disabled")), []string{"whsec_1"}, "stripe webhook", "fail", "disabled"},
		"not told of all": {endpoints(t, 200, edgetest.With(good, "enabled_events", []string{"invoice.paid"})), []string{"whsec_1"}, "stripe webhook", "warn", "payment_intent.succeeded"},
		"wrong key":       {endpoints(t, 401), []string{"whsec_1"}, "stripe", "fail", "refuses secret_key"},
		"restricted key":  {endpoints(t, 403), []string{"whsec_1"}, "stripe", "warn", "restricted"},
		"away":            {"http://" + freeport.Address(t), []string{"whsec_1"}, "stripe", "fail", "does not answer"},
	} {
		app := edgetest.With(edgetest.ExternalApp(db), "stripe", map[string]any{"secret_key": "sk_test_doctor", "webhook_secret": tt.secret, "api_url": tt.url})
		found, err := edgetest.Findings(t, app)
		f := found[tt.check]
		if f.Status != tt.status || !strings.Contains(f.Detail, tt.want) || (err != nil) != (tt.status == "fail") {
			t.Errorf("%s: %+v and %v, want %s with %q", name, f, err, tt.status, tt.want)
		}
		for _, f := range found {
			if strings.Contains(f.Detail, "sk_test_doctor") {
				t.Errorf("%s: the key is shown: %+v", name, f)
			}
		}
	}
}
