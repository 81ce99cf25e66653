package services

import (
	"github.com/prometheus/client_golang/prometheus"

	"mana.how/edge/caddymodule/metrics"
)

// poolCollector reads the pools of all open runtimes when it is asked.
type poolCollector struct{ connections, waits *prometheus.Desc }

var _ = metrics.Add(metrics.Process, prometheus.Collector(poolCollector{
	connections: prometheus.NewDesc("mana_database_connections",
		"Database connections by state; max is how many there may be.", []string{"state"}, nil),
	waits: prometheus.NewDesc("mana_database_acquire_waits_total",
		"Times a caller found no idle connection.", nil, nil),
}))

// Describe implements [prometheus.Collector].
func (c poolCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.connections
	descs <- c.waits
}

// Collect implements [prometheus.Collector].
func (c poolCollector) Collect(samples chan<- prometheus.Metric) {
	var used, idle, most int32
	var waited int64
	EachRuntime(func(rt *Runtime) {
		stat := rt.Pool.Stat()
		used += stat.AcquiredConns()
		idle += stat.IdleConns()
		most += stat.MaxConns()
		waited += stat.EmptyAcquireCount()
	})
	for state, n := range map[string]int32{"used": used, "idle": idle, "max": most} {
		samples <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, float64(n), state)
	}
	samples <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, float64(waited+shared.waited.Load()))
}
