package admin

import (
	"context"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
)

type eventsRequest struct {
	UserID string `path:"userId" rule:"string"`
	Limit  *int   `query:"limit" rule:"optional"`
	Before string `query:"before" rule:"optional,uuid"`
}

// events lists what happened to a user's account, the newest first.
func events(ctx context.Context, c *endpoint.Call, req eventsRequest) ([]kept.Event, error) {
	u, err := userByID(ctx, c, req.UserID)
	if err != nil {
		return nil, err
	}
	list, err := c.Auth.Events(ctx, operator(c, ""), audit.Query{UserID: u.ID, Before: req.Before, Limit: kept.EventsLimit(req.Limit)})
	if err != nil {
		return nil, err
	}
	return kept.EventsOf(list), nil
}
