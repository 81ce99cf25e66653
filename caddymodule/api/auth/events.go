package auth

import (
	"context"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
)

type securityEventsRequest struct {
	Limit  *int   `query:"limit" rule:"optional"`
	Before string `query:"before" rule:"optional,uuid"`
}

// securityEvents lists what happened to the caller's account, the newest first.
func securityEvents(ctx context.Context, c *endpoint.Call, req securityEventsRequest) ([]kept.Event, error) {
	list, err := c.Auth.OwnEvents(ctx, c.Caller, audit.Query{UserID: c.UserID, Before: req.Before, Limit: kept.EventsLimit(req.Limit)})
	if err != nil {
		return nil, err
	}
	return kept.EventsOf(list), nil
}
