package api

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/ulule/limiter/v3"
)

// limit is how many requests one client address may send to one route.
type limit struct {
	count  int64
	period time.Duration
}

func perMinute(n int64) limit { return limit{n, time.Minute} }

var (
	authLimit    = perMinute(100)
	serviceLimit = perMinute(10_000) // routes that whole back ends call from one address
	nativeLimit  = limit{100, 10 * time.Second}
	signInLimit  = limit{3, 10 * time.Second}
)

// counterWait bounds the wait for the counters, so that their trouble is not
// the users'.
const counterWait = 500 * time.Millisecond

// limit counts the request against its route's limit, by client address, and
// refuses it with a [*problem] of status 429. Where the counters are away it
// lets the request pass: sign-in has its own lockout, by account.
func (a *api) limit(w http.ResponseWriter, r *http.Request, rt *route) error {
	if rt.limit.count == 0 || a.Limits == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), counterWait)
	defer cancel()
	store, err := a.Limits(ctx)
	if err != nil || store == nil {
		return nil
	}
	key := "api:" + rt.method + rt.path + ":" + a.network(store, r)
	state, err := store.Get(ctx, key, limiter.Rate{Period: rt.limit.period, Limit: rt.limit.count})
	if err != nil {
		a.Logger.WarnContext(r.Context(), "count a request", "route", rt.pattern(), "error", err)
		return nil
	}
	reset := max(1, state.Reset-a.Now().Unix())
	h := w.Header()
	h.Set("X-RateLimit-Limit", strconv.FormatInt(state.Limit, 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatInt(state.Remaining, 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	if !state.Reached {
		return nil
	}
	if a.Metrics.Limited != nil {
		a.Metrics.Limited(rt.pattern())
	}
	p := &problem{status: 429, code: "RATE_LIMITED", retry: time.Duration(reset) * time.Second,
		text: "ThrottlerException: Too Many Requests, rate limit exceeded"}
	switch {
	case rt.shape == native:
		h.Set("X-Retry-After", strconv.FormatInt(reset, 10))
		p.text = "Too many requests, rate limit exceeded. Please try again later."
	case rt.recoverable:
		p.text = "Too many requests: request failed, rate limit exceeded, please retry"
	}
	return p
}

// network is what counts as the client in a store: what the store says, where
// it has to save room, else [clientNetwork].
func (a *api) network(store limiter.Store, r *http.Request) string {
	if wide, ok := store.(interface{ ClientNetwork(netip.Addr) string }); ok {
		return wide.ClientNetwork(a.ClientIP(r))
	}
	return clientNetwork(a.ClientIP(r))
}

// clientNetwork is what one client holds: an IPv4 address, or the /64 an IPv6
// client may take any address of.
func clientNetwork(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}
