package services

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mana.how/edge/caddymodule/metrics"
)

const (
	// conditionEvery is how often the database and Redis are asked whether they answer.
	conditionEvery = 5 * time.Second
	// conditionWait bounds one such question.
	conditionWait = 3 * time.Second
)

// condition is whether what a runtime needs failed to answer when it was last asked.
type condition struct{ databaseAway, redisAway atomic.Bool }

// watch asks until ctx ends.
func (c *condition) watch(ctx context.Context, rt *Runtime) {
	ticker := time.NewTicker(conditionEvery)
	defer ticker.Stop()
	for {
		c.look(ctx, rt)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *condition) look(ctx context.Context, rt *Runtime) {
	ctx, cancel := context.WithTimeout(ctx, conditionWait)
	defer cancel()
	if rt.Redis != nil {
		c.redisAway.Store(rt.Redis.Ping(ctx).Err() != nil)
	}
	c.databaseAway.Store(checkWrites(ctx, rt.Pool) != nil)
}

// conditionCollector reads how the runtimes fare that a config uses. It asks
// nobody: a scrape does not wait for a database that is away.
type conditionCollector struct{ database, listen, redis, schema *prometheus.Desc }

var _ = metrics.Add(metrics.Process, prometheus.Collector(conditionCollector{
	database: prometheus.NewDesc("mana_database_up",
		"1 if the database answers and takes writes, 0 if it does not or was never reached.", nil, nil),
	listen: prometheus.NewDesc("mana_listen_up",
		"1 if revocations of other edges are heard through LISTEN.", nil, nil),
	redis: prometheus.NewDesc("mana_redis_up",
		"1 if Redis answers; absent without Redis.", nil, nil),
	schema: prometheus.NewDesc("mana_schema_version",
		"Number of the last migration of the database.", nil, nil),
}))

// Describe implements [prometheus.Collector].
func (c conditionCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.database, c.listen, c.redis, c.schema} {
		descs <- desc
	}
}

// Collect implements [prometheus.Collector]. Of several runtimes the worst counts.
func (c conditionCollector) Collect(samples chan<- prometheus.Metric) {
	current := shared.current()
	if pending := shared.pending.Load() > 0; pending || len(current) > 0 {
		database, listen, redis, hasRedis, schema := !pending, !pending, true, false, 0
		for _, rt := range current {
			database = database && !rt.condition.databaseAway.Load()
			_, hears := rt.Auth.Listening()
			listen = listen && hears
			if rt.Redis != nil {
				hasRedis = true
				redis = redis && !rt.condition.redisAway.Load()
			}
			schema = max(schema, rt.schema)
		}
		send := func(desc *prometheus.Desc, value float64) {
			samples <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
		}
		send(c.database, number(database))
		send(c.listen, number(listen))
		if hasRedis {
			send(c.redis, number(redis))
		}
		if schema > 0 {
			send(c.schema, float64(schema))
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
