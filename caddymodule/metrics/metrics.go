package metrics

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promcollectors "github.com/prometheus/client_golang/prometheus/collectors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Process are the measurements of this process. They are made once: a
// reload, which brings a registry of its own, must not set counters back.
var Process = New()

// Set are named as the replaced service named them, so that its dashboards
// and alerts go on working, and mana_… where it had nothing of the kind.
type Set struct {
	all []prometheus.Collector

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec

	users, verified               prometheus.Gauge
	today, thisWeek, thisMonth    prometheus.Gauge
	revocationLag, hashWait       prometheus.Histogram
	recentAnswers, recentWaits    recent
	tokenCache, sessionCache      *prometheus.CounterVec
	signIns, refreshes, decisions *prometheus.CounterVec
	refused, work, events         *prometheus.CounterVec

	creditMetrics
	outboxMetrics
	databaseMetrics
}

// New makes the metrics of an edge.
func New() *Set {
	m := &Set{}
	request := []string{"method", "route", "status"}
	m.requests = Add(m, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests the API answered.",
	}, request))
	m.duration = Add(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Time the API took to answer.",
		Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 2, 5},
	}, request))

	m.users = m.gauge("auth_users_total", "Accounts. A gauge by the name of a counter, as the service before called it.")
	m.verified = m.gauge("auth_users_verified", "Accounts with a verified e-mail address.")
	m.today = m.gauge("auth_users_created_today", "Accounts created since midnight UTC.")
	m.thisWeek = m.gauge("auth_users_created_this_week", "Accounts created since Monday UTC.")
	m.thisMonth = m.gauge("auth_users_created_this_month", "Accounts created since the first of the month UTC.")

	m.revocationLag = m.histogram("mana_revocation_lag_seconds",
		"Time from a revocation to the moment this edge honoured it.",
		.001, .005, .01, .05, .1, .5, 1, 5, 30)
	m.hashWait = m.histogram("mana_password_hash_wait_seconds",
		"Time a password waited for its turn to be hashed.",
		.001, .01, .05, .1, .25, .5, 1, 2, 3)
	m.tokenCache = m.counter("mana_token_cache_total", "Access tokens verified, by whether the cache knew them.", "result")
	m.sessionCache = m.counter("mana_session_cache_total", "Sign-on cookies looked up, by whether the cache knew them.", "result")
	m.signIns = m.counter("mana_sign_ins_total", "Sign-ins by outcome.", "outcome")
	m.refreshes = m.counter("mana_token_refreshes_total", "Token refreshes by outcome.", "outcome")
	m.decisions = m.counter("mana_gate_decisions_total", "Requests at mana_auth by site and outcome.", "site", "outcome")
	m.refused = m.counter("mana_rate_limit_refusals_total", "Requests refused with 429, by site and where.", "site", "where")

	m.work = m.counter("mana_proofs_of_work_total", "Proofs of work that were asked for, solved and refused.", "outcome")

	m.events = newEventMetrics(m)
	m.creditMetrics = newCreditMetrics(m)
	m.outboxMetrics = newOutboxMetrics(m)
	m.databaseMetrics = newDatabaseMetrics(m)

	m.begin()
	m.buildInfo()
	m.all = append(m.all,
		promcollectors.NewProcessCollector(promcollectors.ProcessCollectorOpts{Namespace: "auth"}))

	return m
}

// Add makes a collector one of the set and returns it.
func Add[C prometheus.Collector](m *Set, c C) C {
	m.all = append(m.all, c)
	return c
}

func (m *Set) gauge(name, help string) prometheus.Gauge {
	return Add(m, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
}

func (m *Set) counter(name, help string, labels ...string) *prometheus.CounterVec {
	return Add(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

func (m *Set) histogram(name, help string, buckets ...float64) prometheus.Histogram {
	return Add(m, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}))
}

// RegisterAt puts the collectors into a config's registry. That some are in it
// already is no fault.
func (m *Set) RegisterAt(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	for _, c := range m.all {
		var known prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &known) {
			return err
		}
	}
	return nil
}

// API is what the JSON API reports to.
func (m *Set) API() endpoint.Metrics {
	return endpoint.Metrics{
		Request: func(method, route string, status int, took time.Duration) {
			labels := []string{method, route, strconv.Itoa(status)}
			m.requests.WithLabelValues(labels...).Inc()
			m.duration.WithLabelValues(labels...).Observe(took.Seconds())
			m.recentAnswers.observe(took, time.Now())
		},
		Limited: func(route string) { m.Limited("", route) },
		Work:    func(outcome string) { m.work.WithLabelValues(outcome).Inc() },
	}
}

// AuthObserver is what the identity core reports to.
func (m *Set) AuthObserver() authcore.Observer {
	token := [2]prometheus.Counter{m.tokenCache.WithLabelValues("miss"), m.tokenCache.WithLabelValues("hit")}
	session := [2]prometheus.Counter{m.sessionCache.WithLabelValues("miss"), m.sessionCache.WithLabelValues("hit")}
	return authcore.Observer{
		RevocationLag: func(lag time.Duration) { m.revocationLag.Observe(lag.Seconds()) },
		HashWait: func(wait time.Duration) {
			m.hashWait.Observe(wait.Seconds())
			m.recentWaits.observe(wait, time.Now())
		},
		SignIn:       func(outcome string) { m.signIns.WithLabelValues(outcome).Inc() },
		Refresh:      func(outcome string) { m.refreshes.WithLabelValues(outcome).Inc() },
		TokenCache:   func(hit bool) { token[index(hit)].Inc() },
		SessionCache: func(hit bool) { session[index(hit)].Inc() },
	}
}

// Decided counts what mana_auth did with a request.
func (m *Set) Decided(site, outcome string) { m.decisions.WithLabelValues(site, outcome).Inc() }

// Limited counts a refusal by mana_rate_limit or by a route of the API.
func (m *Set) Limited(site, where string) { m.refused.WithLabelValues(site, where).Inc() }

func index(hit bool) int {
	if hit {
		return 1
	}
	return 0
}
