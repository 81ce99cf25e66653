package caddymodule

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/ulule/limiter/v3"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// Provisioned readies the gate without an app.
func (g *Gate) Provisioned(base string, auth func(context.Context) (*authcore.Service, error)) *Gate {
	g.base, _ = url.Parse(base)
	g.log = zap.NewNop()
	g.auth = auth
	if s, err := auth(context.Background()); err == nil && s != nil {
		g.origins = s.Origins()
	}
	g.logger = zap.NewNop()
	return g
}

// Provisioned readies the rate limit without an app.
func (l *RateLimit) Provisioned(failed func(), auth *authcore.Service, store limiter.Store) *RateLimit {
	ready := rateLimitRuntime{auth: auth, store: store}
	if auth != nil {
		ready.origins = auth.Origins()
	}
	l.runtime = func(context.Context) (rateLimitRuntime, error) { return ready, nil }
	l.failed, l.log = failed, zap.NewNop()
	l.origins = ready.origins
	l.logger = zap.NewNop()
	l.resolve()
	return l
}

// Ledger is the configuration of the ledger.
func (s Settings) Ledger() creditcore.Config { return s.ledger() }

// WarnOfMight looks at the login role of a database.
func WarnOfMight(ctx context.Context, dsn string, log *slog.Logger) {
	warnOfMight(ctx, address{listen: dsn, queryMode: pgx.QueryExecModeExec}, log)
}

// Rested forgets that the counters failed.
func (l *RateLimit) Rested() { l.restUntil.Store(0) }

var (
	StripIdentity = stripIdentity
	DropBearer    = dropBearer
	HeaderSafe    = headerSafe
)

// SetTrustedHeaders sets what the claims say.
func SetTrustedHeaders(h http.Header, c authcore.Claims) {
	who := request.PrincipalOf(&c)
	trusted := trustedHeadersOf(&who)
	trusted.set(h)
}

// TakeCookies removes the named cookies and reports whether there were any.
func TakeCookies(h http.Header, names ...string) bool { return cookieNames(names).take(h) }
