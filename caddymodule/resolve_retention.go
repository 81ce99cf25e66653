package caddymodule

import "time"

const day = 24 * time.Hour

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
	return Retention{
		Events:   kept("events", c.Events, 400*day),
		Sessions: kept("sessions", c.Sessions, 90*day),
		Holds:    kept("holds", c.Holds, 48*time.Hour),
		Outbox:   kept("outbox", c.Outbox, 30*day),
	}
}
