// Package sso is the browser session of a call: the SSO cookie that carries it
// to every site of the family, and the device cookie by which sign-in knows the
// browser again. The JSON API and the hosted pages share it.
package sso

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Tokens are the verified tokens of every SSO cookie the request carries.
func Tokens(c *endpoint.Call) []string { return c.Auth.Cookies().Tokens(c.Request.Header["Cookie"]) }

// Caller names who is signed in by the SSO cookie, and sends the cookie again
// where the session's end has moved. Nobody is [authcore.ErrNoSession]; who must
// set a second factor up before is [authcore.ErrSecondFactorMissing].
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
	if !c.Enrolling() && c.Auth.LacksSecondFactor(b) {
		return b, authcore.ErrSecondFactorMissing
	}
	return b, nil
}

// Begin signs a browser in and sends the SSO cookie. A session that is not to be
// remembered ends with the browser.
func Begin(ctx context.Context, c *endpoint.Call, email, password string, remember bool) (authcore.BrowserSession, error) {
	Known(c)
	c.Client.DeviceID = device(c)
	return begun(c, func() (authcore.BrowserSession, error) {
		return c.Auth.SignInBrowser(ctx, c.Client, email, password, remember)
	})
}

// BeginByLink is Begin by the token of a mailed link.
func BeginByLink(ctx context.Context, c *endpoint.Call, token string) (authcore.BrowserSession, error) {
	Known(c)
	c.Client.DeviceID = device(c)
	return begun(c, func() (authcore.BrowserSession, error) { return c.Auth.SignInByLink(ctx, c.Client, token) })
}

// BeginByPasskey is Begin by what a passkey answered.
func BeginByPasskey(ctx context.Context, c *endpoint.Call, a authcore.PasskeyAnswer) (authcore.BrowserSession, error) {
	Known(c)
	c.Client.DeviceID = device(c)
	return begun(c, func() (authcore.BrowserSession, error) { return c.Auth.SignInBrowserByPasskey(ctx, c.Client, a) })
}

// CompleteByPasskey is Complete by what a passkey answered.
func CompleteByPasskey(ctx context.Context, c *endpoint.Call, a authcore.PasskeyAnswer) (authcore.BrowserSession, error) {
	c.Client.DeviceID = device(c)
	return begun(c, func() (authcore.BrowserSession, error) {
		b, err := c.Auth.CompleteBrowserSignInByPasskey(ctx, c.Client, Challenge(c), a)
		Completed(c, "", err)
		return b, err
	})
}

// Complete meets the challenge for the second factor, which the answer or the
// cookie names, and signs the browser in.
func Complete(ctx context.Context, c *endpoint.Call, a authcore.FactorAnswer) (authcore.BrowserSession, error) {
	c.Client.DeviceID = device(c)
	if a.Challenge == "" {
		a.Challenge = Challenge(c)
	}
	return begun(c, func() (authcore.BrowserSession, error) {
		b, trusted, err := c.Auth.CompleteBrowserSignIn(ctx, c.Client, a)
		Completed(c, trusted, err)
		return b, err
	})
}

// begun sends the cookie of a session that began, or of the challenge that
// stands before it.
func begun(c *endpoint.Call, begin func() (authcore.BrowserSession, error)) (authcore.BrowserSession, error) {
	b, err := begin()
	var needed *authcore.SecondFactorError
	switch {
	case err == nil:
		send(c, b)
	case errors.As(err, &needed):
		Ask(c, needed)
	}
	return b, err
}

// SignInByPasskey signs the browser in and, in one, the app that asked.
func SignInByPasskey(ctx context.Context, c *endpoint.Call, a authcore.PasskeyAnswer) (TokenResponse, error) {
	Known(c)
	if c.Client.DeviceID == "" {
		c.Client.DeviceID = device(c)
	}
	var tokens authcore.Tokens
	_, err := begun(c, func() (b authcore.BrowserSession, err error) {
		b, tokens, err = c.Auth.SignInByPasskey(ctx, c.Client, a)
		return b, err
	})
	if err != nil {
		return TokenResponse{}, Asked(c, err)
	}
	return TokensOf(tokens), nil
}

// PasskeyAnswer is what a passkey answered, with the state that the browser kept,
// which is of no more use.
func PasskeyAnswer(c *endpoint.Call, response json.RawMessage) authcore.PasskeyAnswer {
	cookie := c.Auth.Cookies().PasskeyChallenge()
	a := authcore.PasskeyAnswer{Response: response}
	if states := cookie.Tokens(c.Request.Header["Cookie"]); len(states) > 0 {
		a.State = states[0]
	}
	c.SetCookie(cookie.Clear())
	return a
}

// CompleteProvider is Begin by what came back from a provider. Where that was no
// sign-in, there is no session.
func CompleteProvider(ctx context.Context, c *endpoint.Call, a authcore.ProviderAnswer) (out authcore.ProviderOutcome, err error) {
	a.Bindings = Bindings(c)
	return byProvider(c, func() (authcore.ProviderOutcome, error) { return c.Auth.CompleteProvider(ctx, c.Client, a) })
}

// CompleteProviderAddress is Begin by the address that a provider did not know.
func CompleteProviderAddress(ctx context.Context, c *endpoint.Call, token, email string) (authcore.ProviderOutcome, error) {
	return byProvider(c, func() (authcore.ProviderOutcome, error) {
		return c.Auth.CompleteProviderAddress(ctx, c.Client, Bindings(c), token, email)
	})
}

func byProvider(c *endpoint.Call, complete func() (authcore.ProviderOutcome, error)) (out authcore.ProviderOutcome, err error) {
	Known(c)
	c.Client.DeviceID = device(c)
	out, err = complete()
	var needed *authcore.SecondFactorError
	switch {
	case errors.As(err, &needed):
		Ask(c, needed)
	case err == nil && out.Purpose == federation.SignIn:
		send(c, out.Browser)
	}
	return out, err
}

// Owner names the caller by the access token or else by the SSO cookie, which
// another site may not have sent along.
func Owner(ctx context.Context, c *endpoint.Call) error {
	if len(c.Request.Header["Authorization"]) > 0 {
		return c.Authenticate()
	}
	if _, err := Caller(ctx, c); err != nil {
		return err
	}
	return c.SameSite()
}

// Known tells the identity core by which tokens the device may be trusted.
func Known(c *endpoint.Call) {
	c.Client.TrustedDevices = c.Auth.Cookies().TrustedDevice().Tokens(c.Request.Header["Cookie"])
}

// Ask sends the cookie of a challenge for the second factor.
func Ask(c *endpoint.Call, needed *authcore.SecondFactorError) {
	c.SetCookie(c.Auth.Cookies().TwoFactor().Set(needed.Challenge, needed.ExpiresIn))
}

// Asked is Ask for an app, and words, for clients that show the text as it is,
// that a second factor is needed. Other errors come back as they are.
func Asked(c *endpoint.Call, err error) error {
	var needed *authcore.SecondFactorError
	if !errors.As(err, &needed) {
		return err
	}
	Ask(c, needed)
	e := *c.Known(err)
	e.Message += ": sign in at " + c.BaseURL().String() + "/login"
	return &e
}

// Challenge is the challenge for the second factor that the browser holds, empty
// where it holds none.
func Challenge(c *endpoint.Call) string {
	tokens := c.Auth.Cookies().TwoFactor().Tokens(c.Request.Header["Cookie"])
	if len(tokens) == 0 {
		return ""
	}
	return tokens[0]
}

// trustedFor is how long a browser keeps the cookie of a trusted device.
const trustedFor = 30 * 24 * time.Hour

// Completed sends the cookies after the second factor was tried: the challenge is
// over with a right code, or when there is none any more.
func Completed(c *endpoint.Call, trusted string, err error) {
	if err == nil || errors.Is(err, authcore.ErrSecondFactorExpired) {
		c.SetCookie(c.Auth.Cookies().TwoFactor().Clear())
	}
	if err == nil && trusted != "" {
		c.SetCookie(c.Auth.Cookies().TrustedDevice().Set(trusted, trustedFor))
	}
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

// Clear makes the browser forget the SSO cookie, and what it has cached of this
// site (Clear Site Data, section 3.1).
func Clear(c *endpoint.Call) {
	c.Header.Set("Clear-Site-Data", `"cache"`)
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
	if !c.ChoseLanguage() {
		if tag, err := c.Auth.Language(c.Request.Context(), b.UserID()); err == nil { // without, the browser's is spoken
			c.SpeakLanguage(tag)
		}
	}
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
