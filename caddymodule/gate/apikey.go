package gate

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ulule/limiter/v3"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
)

// keyCountWait is how long a request waits for the counter of its key. Counters
// that are away refuse nobody.
const keyCountWait = time.Second

// keyRateError refuses a key that was used too often, until RetryAfter has
// passed.
type keyRateError struct{ RetryAfter time.Duration }

func (*keyRateError) Error() string { return "the API key was used too often" }

// authenticateKey finds out who a key acts for, and counts its use. What goes on
// upstream in its place is an access token. It fails as
// [authcore.Service.AuthenticateKey] does, or with [*keyRateError].
func (q *gateRequest) authenticateKey(ctx context.Context, secret string) error {
	key, err := q.auth.AuthenticateKey(ctx, secret, request.ClientIP(q.r))
	if err != nil {
		return err
	}
	if err := q.countKey(ctx, key); err != nil {
		return err
	}
	q.byKey = true
	q.bearer, q.claims, err = q.auth.KeyBearer(key)
	return err
}

// countKey counts a request against the key's own rate, on all sites together.
func (q *gateRequest) countKey(ctx context.Context, key authcore.APIKey) error {
	if q.auth.limits == nil {
		return nil
	}
	requests, window := key.Rate()
	ctx, cancel := context.WithTimeout(ctx, keyCountWait)
	defer cancel()
	state, err := q.auth.limits.Get(ctx, "api-key:"+key.ID(), limiter.Rate{Limit: int64(requests), Period: window})
	if err != nil {
		q.log.Warn("count the use of an API key", zap.Error(err))
		return nil
	}
	if state.Reached {
		return &keyRateError{max(time.Second, time.Until(time.Unix(state.Reset, 0)))}
	}
	return nil
}

func (q *gateRequest) refuseRate(e *keyRateError) error {
	metrics.Process.Limited(q.of, "mana_auth")
	// The phrases are those of mana_rate_limit.
	return q.refuse(answer.Error{
		Status: http.StatusTooManyRequests, Code: "RATE_LIMITED", RetryAfter: e.RetryAfter,
		Message: "Request failed: rate limit of the API key exceeded, please try again later",
	})
}

// neededScopes is what a key is told that lacks some.
type neededScopes struct {
	Scopes []string `json:"scopes"`
}

// insufficientScope is the answer to a key or a client's token that lacks a scope (RFC
// 6750, section 3.1).
func (g *Gate) insufficientScope(who *request.Principal) answer.Error {
	what := "API key"
	if who.ClientID != "" {
		what = "access token"
	}
	return answer.Error{
		Status: http.StatusForbidden, Code: "SCOPE_REQUIRED", Message: "Forbidden: the " + what + " lacks a scope that this needs",
		Details: neededScopes{g.Scopes}, Challenge: `Bearer error="insufficient_scope", scope="` + strings.Join(g.Scopes, " ") + `"`,
	}
}
