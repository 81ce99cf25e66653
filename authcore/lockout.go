package authcore

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/ulule/limiter/v3"
)

// lockout slows down guessing of one account's password: from the tenth wrong
// try in 15 minutes the account answers [LockedError], for one minute, then
// two, up to an hour. Counting is by account and, for a device that has
// signed in to it before, by that device: a stranger's tries do not lock the
// owner out.
type lockout struct{ store limiter.Store }

var (
	tries = limiter.Rate{Period: 15 * time.Minute, Limit: 10}
	locks = limiter.Rate{Period: 24 * time.Hour, Limit: 1 << 30}
	held  = limiter.Rate{Period: time.Hour, Limit: 1}
)

const longestLock = time.Hour

// account names a counter without storing the address in clear.
func (lockout) account(email, knownDevice string) string {
	d := digestOf("lockout\x00" + email + "\x00" + knownDevice)
	return hex.EncodeToString(d[:])
}

// check refuses with [LockedError] while the account is locked.
func (l lockout) check(ctx context.Context, account string) error {
	c, err := l.store.Peek(ctx, "lock:"+account, held)
	if err != nil || c.Remaining > 0 {
		return err
	}
	return &LockedError{RetryAfter: max(time.Second, time.Until(time.Unix(c.Reset, 0)))}
}

// fail counts a wrong try, and locks from the tenth on.
func (l lockout) fail(ctx context.Context, account string) (locked bool, err error) {
	c, err := l.store.Increment(ctx, "try:"+account, 1, tries)
	if err != nil || c.Remaining > 0 {
		return false, err
	}
	n, err := l.store.Increment(ctx, "locks:"+account, 1, locks)
	if err != nil {
		return false, err
	}
	rate := held
	rate.Period = lockFor(n.Limit - n.Remaining)
	_, err = l.store.Increment(ctx, "lock:"+account, 1, rate)
	return true, err
}

func lockFor(nth int64) time.Duration {
	d := time.Minute
	for ; nth > 1 && d < longestLock; nth-- {
		d *= 2
	}
	return min(d, longestLock)
}

// clear forgets the wrong tries after a right one.
func (l lockout) clear(ctx context.Context, account string) error {
	for _, key := range []string{"try:", "locks:", "lock:"} {
		rate := tries
		if _, err := l.store.Reset(ctx, key+account, rate); err != nil {
			return err
		}
	}
	return nil
}
