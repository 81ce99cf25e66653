// Package sso is the browser session of a call: the SSO cookie that carries it
// to every site of the family, and the device cookie by which sign-in knows the
// browser again. The JSON API and the hosted pages share it.
package sso

import (
	"context"
	"strings"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Tokens are the verified tokens of every SSO cookie the request carries.
func Tokens(c *endpoint.Call) []string { return c.Auth.Cookies().Tokens(c.Request.Header["Cookie"]) }

// Caller names who is signed in by the SSO cookie, and sends the cookie again
// where the session's end has moved. Nobody is [authcore.ErrNoSession].
func Caller(ctx context.Context, c *endpoint.Call) (authcore.BrowserSession, error) {
	b, err := c.Auth.BrowserSession(ctx, c.Request.Header["Cookie"])
	if err != nil {
		return b, err
	}
	if b.Renewed {
		send(c, b)
	}
	u := b.User()
	c.UserID, c.Email, c.Role, c.SessionID = u.ID, u.Email, u.Role, b.Session().ID
	return b, nil
}

// Begin signs a browser in and sends the SSO cookie. A session that is not to be
// remembered ends with the browser.
func Begin(ctx context.Context, c *endpoint.Call, email, password string, remember bool) (authcore.BrowserSession, error) {
	c.Client.DeviceID = device(c)
	b, err := c.Auth.SignInBrowser(ctx, c.Client, email, password, remember)
	if err == nil {
		send(c, b)
	}
	return b, err
}

// End revokes the sessions of the request's cookies and clears them.
func End(ctx context.Context, c *endpoint.Call) error {
	if tokens := Tokens(c); len(tokens) > 0 {
		if err := c.Auth.SignOut(ctx, c.Client, authcore.SignOut{CookieTokens: tokens}); err != nil {
			return err
		}
	}
	Clear(c)
	return nil
}

// Clear makes the browser forget the SSO cookie.
func Clear(c *endpoint.Call) {
	for _, value := range c.Auth.Cookies().Clear() {
		c.SetCookie(value)
	}
}

// send sends the SSO cookie of a browser session.
func send(c *endpoint.Call, b authcore.BrowserSession) {
	s := b.Session()
	left, ttl := s.ExpiresAt.Sub(c.Now()), c.Auth.SessionTTL()
	if left > ttl-time.Minute {
		left = ttl // a new session's, less the time this request took
	}
	c.SetCookie(c.Auth.Cookies().Set(b.Token, s.Persistent, left))
	if !s.Persistent {
		c.SetCookie(c.Auth.Cookies().SetBriefly())
	}
}

// device names the browser by its device cookie, and gives it one that had
// none: lockout counts the tries of a device that signed in before apart.
func device(c *endpoint.Call) string {
	cookies := c.Auth.Cookies()
	id, ok := cookies.Device(c.Request.Header["Cookie"])
	if !ok {
		set := cookies.NewDevice()
		c.SetCookie(set)
		pair, _, _ := strings.Cut(set, ";")
		id, _ = cookies.Device([]string{pair})
	}
	return id
}
