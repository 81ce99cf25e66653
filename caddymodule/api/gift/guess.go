package gift

import (
	"context"
	"time"

	"github.com/ulule/limiter/v3"

	"mana.how/edge/caddymodule/api/endpoint"
)

// missesOfUser and missesOfNetwork are how often a user, and a client network,
// may ask for codes of gifts and coupons that do not exist. A code is all that a gift asks
// for: at this pace a network finds one of ten thousand gifts in thirty hours.
// Who holds a code is not slowed down.
var (
	missesOfUser    = limiter.Rate{Period: time.Minute, Limit: 20}
	missesOfNetwork = limiter.Rate{Period: time.Minute, Limit: 60}
)

// guesses counts a caller's misses under a key each for their id and network.
type guesses struct {
	call  *endpoint.Call
	rates map[string]limiter.Rate
}

// guessesOf the caller. A back end that shows the service key asks for many
// people from one address, which then does not count.
func guessesOf(c *endpoint.Call, byService bool) guesses {
	g := guesses{c, make(map[string]limiter.Rate)}
	if c.UserID != "" {
		g.rates["gift-miss:user:"+c.UserID] = missesOfUser
	}
	if !byService {
		g.rates["gift-miss:"+c.Network()] = missesOfNetwork
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

// allowed counts a miss ahead, or fails with an [*endpoint.Error] of status 429
// where there were too many. [guesses.known] takes it back.
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
		if wait = g.call.Count(ctx, 1, g.rates); wait == 0 {
			return nil
		}
		g.known(ctx)
	}
	return g.call.TooMany("Too many unknown codes, rate limit exceeded. Please try again later.", wait)
}

// known takes back a miss that was none.
func (g guesses) known(ctx context.Context) { g.call.Count(context.WithoutCancel(ctx), -1, g.rates) }
