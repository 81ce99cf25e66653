package accountpage

import (
	"context"
	"encoding/json"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/device"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// eventsShown is how many events a page shows.
const eventsShown = 25

type eventsPageRequest struct {
	Before string `query:"before" rule:"optional,uuid"`
}

// eventsPage tells what happened to the account, the newest first.
func eventsPage(ctx context.Context, c *endpoint.Call, req eventsPageRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, eventsPath); away != nil || err != nil {
		return away, err
	}
	list, err := c.Auth.OwnEvents(ctx, c.Caller, audit.Query{Before: req.Before, Limit: eventsShown + 1})
	if err != nil {
		return nil, err
	}
	view := pages.Events{Newest: req.Before == ""}
	if len(list) > eventsShown {
		list = list[:eventsShown]
		view.Older = list[eventsShown-1].ID
	}
	for _, e := range list {
		view.List = append(view.List, eventOf(e))
	}
	return endpoint.HTML{Status: 200, View: view}, nil
}

// eventOf is an event as the pages tell it. What does not stand in its metadata is
// left out.
func eventOf(e audit.Entry) pages.Event {
	var known struct{ Cause, Operator, Name, Provider string }
	if len(e.Metadata) > 0 {
		_ = json.Unmarshal(e.Metadata, &known)
	}
	if known.Provider != "" && known.Name == "" {
		known.Name = known.Provider
		if known.Cause == "" {
			known.Cause = "provider"
		}
	}
	return pages.Event{
		Type: e.Type, Cause: known.Cause, Operator: known.Operator != "", Name: known.Name, At: e.CreatedAt,
		Device: device.Name(endpoint.TextOf(e.UserAgent)), IPAddress: endpoint.TextOf(e.IPAddress),
	}
}
