package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/caddymodule/api/sso"
)

var (
	sessionLimit = endpoint.Limit{Count: 100, Period: 10 * time.Second}
	signInLimit  = endpoint.Limit{Count: 3, Period: 10 * time.Second}
)

// nullableSession is a session or, without one, the JSON null.
type nullableSession = *sessionResponse

// getSession is whose SSO cookie the browser holds, for the sites of the family.
func getSession(ctx context.Context, c *endpoint.Call, _ endpoint.None) (nullableSession, error) {
	b, err := sso.Caller(ctx, c)
	if errors.Is(err, authcore.ErrNoSession) {
		return nil, nil //nolint:nilnil // null is what clients expect
	}
	if err != nil {
		return nil, err
	}
	return &sessionResponse{stateOf(b.Session()), userOf(b.User())}, nil
}

type signInRequest struct {
	Email       string  `json:"email" rule:"string"`
	Password    string  `json:"password" rule:"string"`
	CallbackURL *string `json:"callbackURL" rule:"optional,string"`
	RememberMe  *bool   `json:"rememberMe" rule:"optional"`
}

// signInResponse is a session or, where that is not enough, what else is asked
// for.
type signInResponse struct {
	Redirect *bool        `json:"redirect,omitempty"`
	Token    string       `json:"token,omitempty"`
	URL      *string      `json:"url,omitempty"`
	User     *sessionUser `json:"user,omitempty"`

	TwoFactorRedirect bool                  `json:"twoFactorRedirect,omitempty"`
	TwoFactorMethods  []authcore.FactorKind `json:"twoFactorMethods,omitempty"`
}

var (
	errOrigin    = &endpoint.Error{Status: 403, Code: "INVALID_ORIGIN", Message: "Invalid origin"}
	errNoOrigin  = &endpoint.Error{Status: 403, Code: "MISSING_OR_NULL_ORIGIN", Message: "Missing or null Origin"}
	errEmailForm = &endpoint.Error{Status: 400, Code: "INVALID_EMAIL", Message: "Invalid email"}
	errCallback  = &endpoint.Error{Status: 403, Code: "INVALID_CALLBACKURL", Message: "Invalid callbackURL"}
)

// signInEmail begins a browser session and sets the SSO cookie.
func signInEmail(ctx context.Context, c *endpoint.Call, req signInRequest) (signInResponse, error) {
	if err := checkOrigin(c); err != nil {
		return signInResponse{}, err
	}
	if err := firstError(c); err != nil {
		return signInResponse{}, err
	}
	if !validate.IsEmail(req.Email) {
		return signInResponse{}, errEmailForm
	}
	var target *string
	if req.CallbackURL != nil && *req.CallbackURL != "" {
		checked, ok := c.Origins().ReturnTarget(*req.CallbackURL)
		if !ok {
			return signInResponse{}, errCallback
		}
		target = &checked
	}
	b, err := sso.Begin(ctx, c, req.Email, req.Password, req.RememberMe == nil || *req.RememberMe)
	var needed *authcore.SecondFactorError
	if errors.As(err, &needed) {
		return signInResponse{TwoFactorRedirect: true, TwoFactorMethods: needed.Methods}, nil
	}
	if err != nil {
		return signInResponse{}, err
	}
	u, redirect := userOf(b.User()), false
	return signInResponse{Redirect: &redirect, Token: b.Session().Token, URL: target, User: &u}, nil
}

// checkOrigin refuses a sign-in from a foreign site, and one that a browser
// sent without telling from where. A client without cookies and Sec-Fetch
// headers is no browser and needs no Origin.
func checkOrigin(c *endpoint.Call) error {
	h := c.Request.Header
	if origin := h["Origin"]; len(origin) > 0 && !slices.Contains(origin, "null") {
		if c.SameSite() != nil {
			return errOrigin
		}
		return nil
	}
	for _, name := range []string{"Origin", "Cookie", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
		if len(h[name]) > 0 {
			return errNoOrigin
		}
	}
	return nil
}

// firstError words what is wrong with a body as the routes under /api/auth
// do: one message, the first.
func firstError(c *endpoint.Call) error {
	if c.BodyErr != nil {
		return c.BodyErr
	}
	if len(c.FieldErrors) == 0 {
		return nil
	}
	f := c.FieldErrors[0]
	text := "[body." + f.Field + "] Invalid input: " + f.Text
	return &endpoint.Error{Status: 400, Code: "VALIDATION_ERROR", Message: text}
}

// signOut ends the SSO session and clears its cookie. A request that carries
// neither a cookie nor a browser's headers has nothing to end or protect.
func signOut(ctx context.Context, c *endpoint.Call, _ endpoint.None) (done, error) {
	h := c.Request.Header
	if len(h["Cookie"]) == 0 && len(h["Origin"]) == 0 && len(h["Sec-Fetch-Site"]) == 0 {
		return done{Success: true}, nil
	}
	if err := c.SameSite(); err != nil {
		return done{}, err
	}
	if err := sso.End(ctx, c); err != nil {
		return done{}, err
	}
	return done{Success: true}, nil
}
