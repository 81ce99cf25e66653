package metrics_test

import (
	"strings"
	"testing"

	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/internal/edgetest"
)

// What an alert watches exists before the first event.
func TestAlertedSeriesBeginAtZero(t *testing.T) {
	t.Parallel()
	metrics.Process.BeginSite("chat.example.test")
	metrics.BeginApp("chat")
	var text strings.Builder
	if err := edgetest.WriteMetrics(&text); err != nil {
		t.Fatal(err)
	}
	for _, series := range []string{
		`mana_token_refreshes_total{outcome="reused"}`, `mana_sign_ins_total{outcome="locked"}`,
		`mana_stripe_webhooks_total{outcome="error",type="invoice.paid"}`, `mana_stripe_webhooks_total{outcome="invalid_signature",type="other"}`,
		`mana_credit_compensations_total{outcome="dropped"}`, `mana_credit_holds_total{event="expired"}`,
		`mana_gate_decisions_total{outcome="403",site="chat.example.test"}`, `mana_rate_limit_refusals_total{site="chat.example.test",where="mana_rate_limit"}`,
		`mana_meter_requests_total{app="chat",outcome="unpaid"}`, `mana_meter_late_settlements_total{outcome="given_up"}`,
		`mana_build_info{`, `# TYPE mana_database_acquire_waits_total counter`, `# TYPE auth_users_total gauge`,
	} {
		if !strings.Contains(text.String(), series) {
			t.Errorf("%s is missing", series)
		}
	}
	if strings.Contains(text.String(), "mana_database_waiting_acquires") {
		t.Error("a total is still called a gauge")
	}
}
