package metrics

import (
	"runtime"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"mana.how/edge/authcore/notice"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/outbox"
)

// begin makes every series that an alert may watch exist from the start, at 0:
// increase() sees no first event of a series that begins with it.
func (m *Set) begin() {
	for counters, outcomes := range map[*prometheus.CounterVec][]string{
		m.signIns:       {"success", "invalid", "locked", "unverified"},
		m.refreshes:     {"success", "invalid", "expired", "revoked", "reused", "no_user", "error"},
		m.work:          {"asked", "solved", "refused"},
		m.events:        {"sent", "failed"},
		m.tokenCache:    {"hit", "miss"},
		m.sessionCache:  {"hit", "miss"},
		m.debits:        {"charged", "replayed", "insufficient", "key_reused", "no_account", "unavailable", "error"},
		m.holds:         {"opened", "settled", "released", "expired"},
		m.compensations: {"refunded", "retried", "dropped"},
		m.purchases:     {"begun", "completed", "expired", "failed", "mismatch", "reinstated", "reversed", "shortfall"},
		m.coupons:       {"redeemed", "refused"},
		m.trials:        {"given", "refused"},
		m.guests:        {"made", "given", "refused"},
		m.giftingHolds:  {"held", "released"},
		m.gifts:         {"created", "redeemed", "refused", "cancelled", "expired"},
	} {
		for _, outcome := range outcomes {
			counters.WithLabelValues(outcome)
		}
	}
	for _, kind := range notice.Kinds() {
		for _, outcome := range []string{outbox.Sent, outbox.Again, outbox.Died, outbox.Cut} {
			m.deliveries.WithLabelValues("mail", string(kind), outcome)
		}
	}
	for _, outcome := range []string{"applied", "duplicate", "foreign", "ignored", "refused", "error", "invalid_signature", "wrong_livemode"} {
		m.webhooks.WithLabelValues("other", outcome)
	}
	for _, event := range billing.EventTypes() {
		for _, outcome := range []string{"applied", "refused", "error"} {
			m.webhooks.WithLabelValues(event, outcome)
		}
	}
}

// BeginSite makes the series of a site of a config exist.
func (m *Set) BeginSite(site string) {
	for _, outcome := range []string{
		"bearer", "cookie", "api_key", "ticket", "guest", "login", "second_factor", "step_up", "preflight", "400", "401", "403", "405", "503",
	} {
		m.decisions.WithLabelValues(site, outcome)
	}
	m.refused.WithLabelValues(site, "mana_rate_limit")
}

// BeginApp makes the series of an app that mana_credits charges for exist.
func BeginApp(app string) {
	for _, outcome := range []string{
		OutcomeCharged, OutcomeFree, OutcomeReplayed, OutcomeUnpaid, OutcomeInsufficient, OutcomeGuest, OutcomeRefused, OutcomeUnavailable, OutcomeReserved,
	} {
		MeterRequests.WithLabelValues(app, outcome)
	}
	for _, mode := range []string{"charged", "guest", "shadow"} {
		MeterCredits.WithLabelValues(app, mode)
	}
}

func init() {
	for _, outcome := range []string{"settled", "given_up"} {
		lateSettled.WithLabelValues(outcome)
	}
}

// buildInfo is 1, with the versions of the edge, of Caddy and of Go as labels.
func (m *Set) buildInfo() {
	simple, _ := caddy.Version()
	version := Version()
	if version == "" || version == "(devel)" {
		version = caddy.CustomVersion
	}
	info := Add(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mana_build_info", Help: "1; the labels say which edge this is.",
	}, []string{"version", "caddy", "go"}))
	info.WithLabelValues(version, simple, runtime.Version()).Set(1)
}
