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

// A question counts as a miss until it turns out to be none, or any number of
// them could be asked at once. One that finds no place for all the others on
// their way tries again that often, after guessPause each.
const (
	guessTries = 3
	guessPause = 100 * time.Millisecond
)

// allowed counts a miss ahead, or fails with a [*problem] of status 429 where
// there were too many. [guesses.known] takes it back.
func (g guesses) allowed(ctx context.Context) error {
	var wait time.Duration
	for try := range guessTries {
		if try > 0 {
			select {
			case <-time.After(guessPause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if wait = g.count(ctx, 1); wait == 0 {
			return nil
		}
		g.known(ctx)
	}
	if f := g.call.api.Metrics.Limited; f != nil {
		f(g.call.route.pattern())
	}
	return &problem{status: 429, code: "RATE_LIMITED", retry: wait,
		text: "Too many unknown gift codes, rate limit exceeded. Please try again later."}
}

// known takes back a miss that was none.
func (g guesses) known(ctx context.Context) { g.count(context.WithoutCancel(ctx), -1) }

// count adds misses and returns how long it is until another one is allowed.
func (g guesses) count(ctx context.Context, misses int64) (wait time.Duration) {
	g.each(ctx, func(ctx context.Context, store limiter.Store, key string, rate limiter.Rate) error {
		state, err := store.Increment(ctx, key, misses, rate)
		if err == nil && state.Reached {
			wait = max(wait, time.Second, time.Unix(state.Reset, 0).Sub(g.call.api.Now()))
		}
		return err
	})
	return wait
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
