package metrics

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// CountRequest counts as the API does.
func CountRequest(method, route string, status int, took time.Duration) {
	Process.API().Request(method, route, status, took)
}

// CountUsers takes the census into metrics of its own.
func CountUsers(ctx context.Context, pool *pgxpool.Pool) (total, verified, today float64, err error) {
	m := newMetrics()
	err = m.countUsersOnce(ctx, pool)
	return gaugeValue(m.users), gaugeValue(m.verified), gaugeValue(m.today), err
}

// CountHolds takes the census into metrics of its own.
func CountHolds(ctx context.Context, pool *pgxpool.Pool) (open, leaked float64, err error) {
	m := newMetrics()
	err = m.countHoldsOnce(ctx, pool)
	return gaugeValue(m.openHolds), gaugeValue(m.leakedHolds), err
}

func gaugeValue(g prometheus.Gauge) float64 {
	var sample dto.Metric
	if err := g.Write(&sample); err != nil {
		panic(err)
	}
	return sample.GetGauge().GetValue()
}
