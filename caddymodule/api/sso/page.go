package sso

import (
	"context"
	"errors"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
)

// LoginFor is the sign-in page that leads on to a target.
func LoginFor(target string) string { return "/login?returnUrl=" + url.QueryEscape(target) }

// ReauthenticateFor is the page that asks once more who somebody is and leads on
// to a target.
func ReauthenticateFor(target string) string {
	return "/reauthenticate?returnUrl=" + url.QueryEscape(target)
}

// SignedIn names who is signed in, for a page. Who is not is led away, to the
// sign-in and back.
func SignedIn(ctx context.Context, c *endpoint.Call, page string) (away endpoint.Answer, err error) {
	_, err = Caller(ctx, c)
	if errors.Is(err, authcore.ErrNoSession) {
		return endpoint.Redirect{To: LoginFor(page)}, nil
	}
	return nil, err
}
