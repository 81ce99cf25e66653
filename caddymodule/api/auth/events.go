package auth

import (
	"context"
	"encoding/json"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
)

// securityEvent is something that happened to the caller's account.
type securityEvent struct {
	ID        string          `json:"id"`
	EventType string          `json:"eventType"`
	IPAddress *string         `json:"ipAddress"`
	UserAgent *string         `json:"userAgent"`
	Metadata  json.RawMessage `json:"metadata"`
	CreatedAt endpoint.Time   `json:"createdAt"`
}

type securityEventsRequest struct {
	Limit  *int   `query:"limit" rule:"optional"`
	Before string `query:"before" rule:"optional,uuid"`
}

// securityEvents lists what happened to the caller's account, the newest first.
func securityEvents(ctx context.Context, c *endpoint.Call, req securityEventsRequest) ([]securityEvent, error) {
	limit := 50
	if req.Limit != nil {
		limit = min(max(*req.Limit, 1), 200)
	}
	list, err := c.Auth.OwnEvents(ctx, c.Caller, audit.Query{UserID: c.UserID, Before: req.Before, Limit: limit})
	if err != nil {
		return nil, err
	}
	out := make([]securityEvent, len(list))
	for i, e := range list {
		out[i] = securityEvent{e.ID, e.Type, e.IPAddress, e.UserAgent, e.Metadata, endpoint.Time(e.CreatedAt)}
	}
	return out, nil
}
