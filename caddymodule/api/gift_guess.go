package api

import (
	"context"
	"time"

	"github.com/ulule/limiter/v3"
)

// missesOfUser and missesOfNetwork are how often a user, and a client network,
// may ask for gift codes that do not exist. A code is all that a gift asks
// for: at this pace a network finds one of ten thousand gifts in thirty hours.
// Who holds a code is not slowed down.
var (
	missesOfUser    = limiter.Rate{Period: time.Minute, Limit: 20}
	missesOfNetwork = limiter.Rate{Period: time.Minute, Limit: 60}
)

// guesses counts a caller's misses under a key each for his id and network.
type guesses struct {
	call  *call
	rates map[string]limiter.Rate
}

// guesses of the caller. A back end that shows the service key asks for many
// people from one address, which then does not count.
func (c *call) guesses(trusted bool) guesses {
	g := guesses{c, make(map[string]limiter.Rate)}
	if c.UserID != "" {
		g.rates["gift-miss:user:"+c.UserID] = missesOfUser
	}
	if !trusted {
		g.rates["gift-miss:"+clientNetwork(c.api.ClientIP(c.r))] = missesOfNetwork
	}
	return g
}

// allowed fails with a [*problem] of status 429 once there were too many.
func (g guesses) allowed(ctx context.Context) error {
	wait := time.Duration(0)
	g.each(ctx, func(ctx context.Context, store limiter.Store, key string, rate limiter.Rate) error {
		state, err := store.Peek(ctx, key, rate)
		if err == nil && (state.Reached || state.Remaining == 0) {
			wait = max(wait, time.Second, time.Unix(state.Reset, 0).Sub(g.call.api.Now()))
		}
		return err
	})
	if wait == 0 {
		return nil
	}
	if f := g.call.api.Metrics.Limited; f != nil {
		f(g.call.route.pattern())
	}
	return &problem{status: 429, code: "RATE_LIMITED", retry: wait,
		text: "Too many unknown gift codes, rate limit exceeded. Please try again later."}
}

// missed counts a code that does not exist.
func (g guesses) missed(ctx context.Context) {
	g.each(ctx, func(ctx context.Context, store limiter.Store, key string, rate limiter.Rate) error {
		_, err := store.Get(ctx, key, rate)
		return err
	})
}

// each runs fn for every key. Counters that are away refuse nobody, as with
// the limits of routes.
func (g guesses) each(ctx context.Context, fn func(context.Context, limiter.Store, string, limiter.Rate) error) {
	a := g.call.api
	if a.Limits == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, counterWait)
	defer cancel()
	store, err := a.Limits(ctx)
	if err != nil || store == nil {
		return
	}
	for key, rate := range g.rates {
		if err := fn(ctx, store, key, rate); err != nil {
			a.Logger.WarnContext(ctx, "count unknown gift codes", "error", err)
			return
		}
	}
}
