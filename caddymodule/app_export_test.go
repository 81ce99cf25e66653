package caddymodule

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/spf13/cobra"
	"github.com/ulule/limiter/v3"

	"mana.how/edge/creditcore/billing"
)

// Resolve resolves with the given environment alone.
func (c Config) Resolve(env map[string]string) (Settings, error) {
	return c.resolve(func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
}

// Facts are the resolved settings that tests compare, secrets revealed.
type Facts struct {
	BaseURL, Audience, CookieDomain         string
	ServiceKey, EncryptionKey, LegacySecret string
	Origins                                 []string
	DatabaseDir, DatabaseURL, Direct, Mode  string
	Redis                                   string
	AccessTokenTTL, RefreshTokenTTL         time.Duration
}

// Facts reveals the settings.
func (s Settings) Facts() Facts {
	return Facts{
		BaseURL: s.BaseURL.String(), Audience: s.Audience, CookieDomain: s.CookieDomain,
		ServiceKey: s.ServiceKey.Reveal(), EncryptionKey: s.encryptionKey.Reveal(), LegacySecret: s.legacySecret.Reveal(),
		Origins: s.trustedOrigins, DatabaseDir: s.database.dir, DatabaseURL: s.database.url.Reveal(),
		Direct: s.database.direct.Reveal(), Mode: s.database.queryMode.String(), Redis: s.redis.Reveal(),
		AccessTokenTTL: s.AccessTokenTTL, RefreshTokenTTL: s.RefreshTokenTTL,
	}
}

// Billing is the resolved configuration of the sale of credits.
func (s Settings) Billing() billing.Config { return s.stripe.config(s.BaseURL) }

// SameRuntime reports whether two settings would share a runtime.
func SameRuntime(a, b Settings) bool { return a.key() == b.key() }

// Tests do not wait for the longest request.
func init() { Linger(0, 50*time.Millisecond) }

// Linger sets how long runtimes wait for their last request at least and at most.
func Linger(latest, longest time.Duration) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.patience = patience{latest, longest, 10 * time.Millisecond}
}

// OpenRuntimes is how many runtimes this process holds, lingering ones included.
func OpenRuntimes() int {
	n := 0
	shared.each(func(*Runtime) { n++ })
	return n
}

// Commands is the command group as Caddy would build it.
func Commands() *cobra.Command {
	group := &cobra.Command{Use: "mana", SilenceUsage: true}
	buildCommands(group)
	return group
}

// CountRequest counts as the API does.
func CountRequest(method, route string, status int, took time.Duration) {
	collectors.api().Request(method, route, status, took)
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

// RedisLimits are the limits that count in Redis.
func RedisLimits(url string, log *slog.Logger) (limiter.Store, func(), error) {
	shared, release, err := acquireRedis(NewSecret(url), log)
	return shared.limits, release, err
}

// ReloadPatience sets how long a reload waits for another database.
func ReloadPatience(d time.Duration) (former time.Duration) {
	former, reloadPatience = reloadPatience, d
	return former
}

// Gather collects all measurements once.
func Gather() error {
	registry := prometheus.NewRegistry()
	if err := collectors.registerAt(registry); err != nil {
		return err
	}
	_, err := registry.Gather()
	return err
}

// WriteMetrics writes all measurements as Prometheus reads them.
func WriteMetrics(w io.Writer) error {
	registry := prometheus.NewRegistry()
	if err := collectors.registerAt(registry); err != nil {
		return err
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}

// SetDeafPatience sets how long an edge that hears nothing stays ready, and
// returns what sets it back.
func SetDeafPatience(d time.Duration) (restore func()) {
	before := deafPatience
	deafPatience = d
	return func() { deafPatience = before }
}
