package answer

import "time"

// Time is a time on the wire: ISO 8601, UTC, with milliseconds.
type Time time.Time

// MarshalText implements [encoding.TextMarshaler].
func (t Time) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// Seconds are the whole seconds of a wait, rounded up, one at least:
// Retry-After (RFC 9110, section 10.2.3) knows no fractions.
func Seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}
