package caddymodule

import (
	"context"
	"net/http"
)

// callerContext carries who the gate found, to the handlers behind it. It is
// not a header, so nothing a client sends can look like it.
type callerContext struct {
	context.Context
	userID string
}

type callerKey struct{}

// Value implements [context.Context].
func (c *callerContext) Value(key any) any {
	if key == (callerKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func withCaller(ctx context.Context, userID string) context.Context {
	return &callerContext{ctx, userID}
}

// callerOf is the user the last gate on the request's way found, empty for a
// guest.
func callerOf(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(*callerContext); ok {
		return c.userID
	}
	return ""
}

// forgetCaller takes back what a gate before this one found: the last decides.
func forgetCaller(r *http.Request) *http.Request {
	if callerOf(r.Context()) == "" {
		return r
	}
	return r.WithContext(withCaller(r.Context(), ""))
}
