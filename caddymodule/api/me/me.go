// Package me has the routes of what is kept of the caller: to see it, to take it
// along, and to have it deleted (GDPR, articles 15, 17 and 20).
package me

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
)

// own has the handlers.
type own struct{ kept.Deps }

// Routes are those of own data.
func Routes(deps kept.Deps) []endpoint.Route {
	d := own{deps}
	const at = "/api/v1/me/data"
	gone := &endpoint.Error{Status: 404, Code: "USER_NOT_FOUND", Message: "User not found"}
	return []endpoint.Route{
		endpoint.Get(at, endpoint.Handle(d.summary), endpoint.Rule{Summary: "What is kept of the caller, counted", Access: endpoint.User, Limit: endpoint.UserLimit,
			Errors: []*endpoint.Error{gone}}),
		endpoint.Get(at+"/export", endpoint.Handle(d.export), endpoint.Rule{Summary: "All that is kept of the caller, as a file", Access: endpoint.User, Limit: endpoint.PerMinute(10),
			Media: "application/json", Errors: []*endpoint.Error{gone, endpoint.ErrNotRecent}}),
		endpoint.Delete(at, endpoint.Handle(d.erase), endpoint.Rule{Summary: "Delete all that is kept of the caller, and the account", Access: endpoint.User, Limit: endpoint.PerMinute(3),
			Errors: append(endpoint.AnswersTo(authcore.ErrWrongPassword, authcore.ErrNoPassword), gone, endpoint.ErrNotRecent)}),
	}
}

func (d own) summary(ctx context.Context, c *endpoint.Call, _ endpoint.None) (kept.Summary, error) {
	return d.summaryOf(ctx, c)
}

func (d own) summaryOf(ctx context.Context, c *endpoint.Call) (kept.Summary, error) {
	account, err := c.Auth.AccountData(ctx, c.Caller)
	if err != nil {
		return kept.Summary{}, err
	}
	return d.Summarize(ctx, account)
}

type eraseRequest struct {
	Password string `json:"password" rule:"optional,string"`
}

func (d own) erase(ctx context.Context, c *endpoint.Call, req eraseRequest) (kept.Erased, error) {
	account, err := c.Auth.AccountData(ctx, c.Caller)
	if err != nil {
		return kept.Erased{}, err
	}
	return d.Erase(ctx, c, account, func() error { return c.Auth.DeleteAccount(ctx, c.Caller, req.Password, "") })
}
