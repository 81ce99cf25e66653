package sso

import (
	"context"
	"errors"
	"net/url"
	"slices"

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

// OwnForm is what every form of a page begins with: it comes from a page of ours, and names
// who is signed in. Who is not is led away.
func OwnForm(ctx context.Context, c *endpoint.Call, page string) (away endpoint.Answer, err error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	return SignedIn(ctx, c, page)
}

// Refused answers a form that came to nothing: with another proof first where one
// is needed, else with the page again, which shows the text of a code. An error
// that nobody is told of comes back.
func Refused(c *endpoint.Call, err error, page string, again func(status int, code string) (endpoint.Answer, error)) (endpoint.Answer, error) {
	if errors.As(err, new(*authcore.ReauthenticationError)) {
		return endpoint.Redirect{To: ReauthenticateFor(page)}, nil
	}
	p := c.Known(err)
	if p == nil {
		return nil, err
	}
	answer, err := again(p.Status, p.Code)
	if shown, ok := answer.(endpoint.HTML); ok {
		shown.RetryAfter = p.RetryAfter
		return shown, err
	}
	return answer, err
}

// Done leads back to a page, which says what was done.
func Done(page, what string) endpoint.Redirect { return endpoint.Redirect{To: page + "?done=" + what} }

// DoneOf is what a page was told was done, if it is one of its own words.
func DoneOf(c *endpoint.Call, words ...string) string {
	if what := c.Request.URL.Query().Get("done"); slices.Contains(words, what) {
		return what
	}
	return ""
}
