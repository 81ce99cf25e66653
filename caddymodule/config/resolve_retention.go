package config

import "time"

const day = 24 * time.Hour

// leastHolds is how long an idempotency key on a metered route is known: with
// its hold.
const leastHolds = day

// leastEvents is how long the database refuses to delete a security event,
// whoever asks.
const leastEvents = day

// Retention is how long what has ended is kept.
type Retention struct {
	Events   time.Duration // security events
	Sessions time.Duration // sessions after their end
	Holds    time.Duration // holds after they were settled or released
	Outbox   time.Duration // messages that were sent, or given up
}

func (r *resolver) retention(c *RetentionConfig) Retention {
	if c == nil {
		c = &RetentionConfig{}
	}
	kept := func(name, raw string, otherwise time.Duration) time.Duration {
		if d := r.duration("retention "+name, raw); d > 0 {
			return d
		}
		return otherwise
	}
	holds := kept("holds", c.Holds, 48*time.Hour)
	if holds < leastHolds {
		r.fault("retention holds", "%v is less than the 24h that an Idempotency-Key is known", holds)
	}
	events := kept("events", c.Events, 400*day)
	if events < leastEvents {
		r.fault("retention events", "%v is less than the 24h in which no event can be deleted", events)
	}
	return Retention{
		Events:   events,
		Sessions: kept("sessions", c.Sessions, 90*day),
		Holds:    holds,
		Outbox:   kept("outbox", c.Outbox, 30*day),
	}
}
