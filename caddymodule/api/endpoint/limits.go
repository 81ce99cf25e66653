package endpoint

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ulule/limiter/v3"

	"mana.how/edge/caddymodule/request"
)

// Limit is how many requests one client address may send to one route.
type Limit struct {
	Count  int64
	Period time.Duration
}

// PerMinute is a limit of n requests.
func PerMinute(n int64) Limit { return Limit{n, time.Minute} }

var (
	// UserLimit is that of routes which people and their apps call.
	UserLimit = PerMinute(100)
	// BackEndLimit is that of routes which whole back ends call from one address.
	BackEndLimit = PerMinute(10_000)
)

// counterWait bounds the wait for the counters, so that their trouble is not
// the users'.
const counterWait = 500 * time.Millisecond

// limit counts the request against its route's limit, by client address, and
// refuses it with an [*Error] of status 429. Where the counters are away it
// lets the request pass: sign-in has its own lockout, by account.
func (s *server) limit(w http.ResponseWriter, r *http.Request, rt *Route) error {
	if rt.Limit.Count == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), counterWait)
	defer cancel()
	store := s.counters(ctx)
	if store == nil {
		return nil
	}
	key := "api:" + rt.Method + rt.Path + ":" + request.NetworkIn(store, s.ClientIP(r))
	state, err := store.Get(ctx, key, limiter.Rate{Period: rt.Limit.Period, Limit: rt.Limit.Count})
	if err != nil {
		s.Logger.WarnContext(r.Context(), "count a request", "route", rt.pattern(), "error", err)
		return nil
	}
	reset := max(1, state.Reset-s.Now().Unix())
	h := w.Header()
	h.Set("X-RateLimit-Limit", strconv.FormatInt(state.Limit, 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatInt(state.Remaining, 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	if !state.Reached {
		return nil
	}
	s.limited(rt)
	e := &Error{Status: 429, Code: "RATE_LIMITED", RetryAfter: time.Duration(reset) * time.Second,
		Message: "ThrottlerException: Too Many Requests, rate limit exceeded"}
	switch {
	case rt.Format == BetterAuth:
		h.Set("X-Retry-After", strconv.FormatInt(reset, 10))
		e.Message = "Too many requests, rate limit exceeded. Please try again later."
	case rt.Recoverable:
		e.Message = "Too many requests: request failed, rate limit exceeded, please retry"
	}
	return e
}

// counters are the live ones, nil where there are none or they are away.
func (s *server) counters(ctx context.Context) limiter.Store {
	if s.Limits == nil {
		return nil
	}
	store, err := s.Limits(ctx)
	if err != nil {
		return nil
	}
	return store
}

func (s *server) limited(rt *Route) {
	if s.Metrics.Limited != nil {
		s.Metrics.Limited(rt.pattern())
	}
}

// Count adds n to the counters under the keys and returns how long it is until
// all of them allow another one: zero if at once. Counters that are away refuse
// nobody, as with the limits of routes.
func (c *Call) Count(ctx context.Context, n int64, rates map[string]limiter.Rate) (wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, counterWait)
	defer cancel()
	store := c.server.counters(ctx)
	if store == nil {
		return 0
	}
	for key, rate := range rates {
		state, err := store.Increment(ctx, key, n, rate)
		if err != nil {
			c.server.Logger.WarnContext(ctx, "count what a caller does", "route", c.route.pattern(), "error", err)
			return wait
		}
		if state.Reached {
			wait = max(wait, time.Second, time.Unix(state.Reset, 0).Sub(c.Now()))
		}
	}
	return wait
}

// TooMany is an answer of status 429 that is measured as a limit of the route.
func (c *Call) TooMany(text string, wait time.Duration) *Error {
	c.server.limited(c.route)
	return &Error{Status: 429, Code: "RATE_LIMITED", RetryAfter: wait, Message: text}
}

// Network is what the client holds of addresses, as limits count it.
func (c *Call) Network() string { return request.NetworkOf(c.server.ClientIP(c.Request)) }
