package ratelimit

// CountFailures calls failed for each request that passes uncounted.
func (l *RateLimit) CountFailures(failed func()) { l.failed = failed }

// Rested forgets that the counters failed.
func (l *RateLimit) Rested() { l.restUntil.Store(0) }
