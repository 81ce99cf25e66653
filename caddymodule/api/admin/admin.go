// Package admin has the routes of platform admins: whom there is, what is kept of
// them, and what may be done to an account. Whatever an admin does is recorded
// with the account and with theirs, in the transaction that does it. The role
// support has those routes that change nothing.
package admin

import (
	"context"
	"net/http"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/internal/usertext"
)

// Deps is what the routes work with.
type Deps struct {
	// UserIDs are admins beside those who have the role.
	UserIDs []string
	// Data finds what is kept of a user.
	Data kept.Deps
}

// The answers to who is no admin, or acts on themselves.
var (
	errNoToken  = &endpoint.Error{Status: http.StatusUnauthorized, Code: "NO_TOKEN", Message: "Missing authorization token"}
	errNotAdmin = &endpoint.Error{Status: http.StatusForbidden, Code: "ADMIN_REQUIRED", Message: "Admin access required"}
	errYourself = &endpoint.Error{Status: http.StatusConflict, Code: "OWN_ACCOUNT", Message: "This is your own account"}
	errNoUser   = &endpoint.Error{Status: http.StatusNotFound, Code: "USER_NOT_FOUND", Message: "User not found"}
)

// Routes are those of admins. The routes of the replaced service also answer
// under its doubled prefix.
func Routes(d Deps) []endpoint.Route {
	const single, doubled = "/api/v1/admin", "/api/v1/api/v1/admin"
	rule := func(summary string, errs ...*endpoint.Error) endpoint.Rule {
		return endpoint.Rule{
			Summary: summary, Access: endpoint.User, Limit: endpoint.UserLimit, Errors: append([]*endpoint.Error{errNotAdmin}, errs...),
			Mappings: []endpoint.Mapping{{Err: request.ErrNoToken, Answer: errNoToken}, {Err: authcore.ErrUserNotFound, Answer: errNoUser}},
		}
	}
	var routes []endpoint.Route
	for _, prefix := range []string{single, doubled} {
		routes = append(routes,
			endpoint.Get(prefix+"/users", endpoint.Handle(seen(d, d.users)), rule("The users, newest first")),
			endpoint.Get(prefix+"/users/{userId}/data", endpoint.Handle(seen(d, d.data)), rule("What is kept of a user, counted")),
			endpoint.Delete(prefix+"/users/{userId}/data", endpoint.Handle(guarded(d, recent(d.erase))), rule("Delete all that is kept of a user, and the account", endpoint.ErrNotRecent, errYourself)))
	}
	return append(routes,
		endpoint.Patch(single+"/users/{userId}", endpoint.Handle(guarded(d, recent(change))), rule("Change a user's role, or bar them", endpoint.ErrNotRecent, errYourself)),
		endpoint.Get(single+"/users/{userId}/security-events", endpoint.Handle(seen(d, events)), rule("What happened to a user's account, newest first")),
		endpoint.Delete(single+"/users/{userId}/sessions", endpoint.Handle(guarded(d, recent(endSessions))), rule("End all sessions of a user", endpoint.ErrNotRecent)),
		endpoint.Post(single+"/users/{userId}/reset-factor", endpoint.Handle(guarded(d, recent(resetFactor))), rule("Take the second factor off a user who has lost it",
			endpoint.ErrNotRecent, endpoint.AnswerTo(twofactor.ErrNotEnabled))))
}

// task is a handler for who is an admin.
type task[Req, Resp any] func(context.Context, *endpoint.Call, Req) (Resp, error)

// isAdmin reports whether the caller is an admin, by role or by config.
func (d Deps) isAdmin(c *endpoint.Call) bool {
	return c.Role == principal.RoleAdmin || slices.Contains(d.UserIDs, c.UserID)
}

// guarded refuses who is no admin.
func guarded[Req, Resp any](d Deps, do task[Req, Resp]) task[Req, Resp] {
	return allowed(d.isAdmin, do)
}

// seen is guarded for what changes nothing, which support may see too.
func seen[Req, Resp any](d Deps, do task[Req, Resp]) task[Req, Resp] {
	return allowed(func(c *endpoint.Call) bool { return d.isAdmin(c) || c.Role == principal.RoleSupport }, do)
}

func allowed[Req, Resp any](may func(*endpoint.Call) bool, do task[Req, Resp]) task[Req, Resp] {
	return func(ctx context.Context, c *endpoint.Call, req Req) (resp Resp, err error) {
		if !may(c) {
			return resp, errNotAdmin
		}
		return do(ctx, c, req)
	}
}

// recent wants a proof of the last minutes of an admin who changes something.
func recent[Req, Resp any](do task[Req, Resp]) task[Req, Resp] {
	return func(ctx context.Context, c *endpoint.Call, req Req) (resp Resp, err error) {
		if err := c.Auth.RequireRecent(ctx, c.Caller); err != nil {
			return resp, err
		}
		return do(ctx, c, req)
	}
}

// operator is the caller as who acts on another's account.
func operator(c *endpoint.Call, reason string) principal.Operator {
	return principal.Operator{Name: "admin:" + c.UserID, Reason: usertext.Clean(reason, 1000), UserID: c.UserID, Client: c.Client}
}
