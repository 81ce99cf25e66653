package admin

import (
	"context"
	"encoding/json"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
)

// userEvent is something that happened to a user's account.
type userEvent struct {
	ID        string          `json:"id"`
	EventType string          `json:"eventType"`
	IPAddress *string         `json:"ipAddress"`
	UserAgent *string         `json:"userAgent"`
	Metadata  json.RawMessage `json:"metadata"`
	CreatedAt endpoint.Time   `json:"createdAt"`
}

type eventsRequest struct {
	UserID string `path:"userId" rule:"string"`
	Limit  *int   `query:"limit" rule:"optional"`
	Before string `query:"before" rule:"optional,uuid"`
}

func events(ctx context.Context, c *endpoint.Call, req eventsRequest) ([]userEvent, error) {
	limit := 50
	if req.Limit != nil {
		limit = min(max(*req.Limit, 1), 200)
	}
	u, err := userByID(ctx, c, req.UserID)
	if err != nil {
		return nil, err
	}
	list, err := c.Auth.Events(ctx, operator(c, ""), audit.Query{UserID: u.ID, Before: req.Before, Limit: limit})
	if err != nil {
		return nil, err
	}
	out := make([]userEvent, len(list))
	for i, e := range list {
		out[i] = userEvent{e.ID, e.Type, e.IPAddress, e.UserAgent, e.Metadata, endpoint.Time(e.CreatedAt)}
	}
	return out, nil
}
