package stripeapi

import (
	"encoding/json"
	"time"
)

// Time reads a time of Stripe's, nil where there is none.
func Time(unix int64) *time.Time {
	if unix == 0 {
		return nil
	}
	t := time.Unix(unix, 0).UTC()
	return &t
}

// Metadata is an object's metadata as JSON, nil where there is none.
func Metadata(m map[string]string) (json.RawMessage, error) {
	if len(m) == 0 {
		return nil, nil
	}
	return json.Marshal(m)
}
