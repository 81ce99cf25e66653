package kept

import (
	"encoding/json"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Event is something that happened to an account.
type Event struct {
	ID        string          `json:"id"`
	EventType string          `json:"eventType"`
	IPAddress *string         `json:"ipAddress"`
	UserAgent *string         `json:"userAgent"`
	Metadata  json.RawMessage `json:"metadata"`
	CreatedAt endpoint.Time   `json:"createdAt"`
}

// EventsOf are rows of the log as clients see them.
func EventsOf(list []audit.Entry) []Event {
	out := make([]Event, len(list))
	for i, e := range list {
		out[i] = Event{e.ID, e.Type, e.IPAddress, e.UserAgent, e.Metadata, endpoint.Time(e.CreatedAt)}
	}
	return out
}

// EventsLimit is how many a page has: 50, or what was asked for within 1 to 200.
func EventsLimit(asked *int) int {
	if asked == nil {
		return 50
	}
	return min(max(*asked, 1), 200)
}
