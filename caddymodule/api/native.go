package api

import (
	"context"
	"errors"
	"slices"

	"mana.how/edge/authcore"
)

// nativeSession is a session or, without one, the JSON null.
type nativeSession = *sessionResponse

// getSession tells a site whose SSO cookie the browser holds. It sends the
// cookie again when the session's end has moved.
func getSession(ctx context.Context, c *call, _ none) (nativeSession, error) {
	b, err := c.auth.BrowserSession(ctx, c.r.Header["Cookie"])
	if errors.Is(err, authcore.ErrNoSession) {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}
	if err != nil {
		return nil, err
	}
	if b.Renewed {
		c.setSession(b)
	}
	return &sessionResponse{stateOf(b.Session()), userOf(b.User())}, nil
}

type signInRequest struct {
	Email       string  `json:"email" rule:"string"`
	Password    string  `json:"password" rule:"string"`
	CallbackURL *string `json:"callbackURL" rule:"optional,string"`
	RememberMe  *bool   `json:"rememberMe" rule:"optional"`
}

type signInResponse struct {
	Redirect bool        `json:"redirect"`
	Token    string      `json:"token"`
	URL      *string     `json:"url,omitempty"`
	User     sessionUser `json:"user"`
}

var (
	errEmailForm = &problem{status: 400, code: "INVALID_EMAIL", text: "Invalid email"}
	errCallback  = &problem{status: 403, code: "INVALID_CALLBACKURL", text: "Invalid callbackURL"}
)

// signInEmail begins a browser session and sets the SSO cookie.
func signInEmail(ctx context.Context, c *call, req signInRequest) (signInResponse, error) {
	if err := c.signInOrigin(); err != nil {
		return signInResponse{}, err
	}
	if err := c.nativeFaults(); err != nil {
		return signInResponse{}, err
	}
	if !isEmail(req.Email) {
		return signInResponse{}, errEmailForm
	}
	var target *string
	if req.CallbackURL != nil && *req.CallbackURL != "" {
		checked, ok := c.api.Origins.ReturnTarget(*req.CallbackURL)
		if !ok {
			return signInResponse{}, errCallback
		}
		target = &checked
	}
	c.knownDevice()
	b, err := c.auth.SignInBrowser(ctx, c.Client, req.Email, req.Password, req.RememberMe == nil || *req.RememberMe)
	if err != nil {
		return signInResponse{}, err
	}
	c.setSession(b)
	return signInResponse{Token: b.Session().Token, URL: target, User: userOf(b.User())}, nil
}

// signInOrigin refuses a sign-in from a foreign site, and one that a browser
// sent without telling from where. A client without cookies and Sec-Fetch
// headers is no browser and needs no Origin.
func (c *call) signInOrigin() error {
	h := c.r.Header
	if origin := h["Origin"]; len(origin) > 0 && !slices.Contains(origin, "null") {
		if c.api.SameSite(c.r) != nil {
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

// nativeFaults words what is wrong with a body as the routes under /api/auth
// do: one message, the first.
func (c *call) nativeFaults() error {
	if c.bodyErr != nil {
		return c.bodyErr
	}
	if len(c.bodyFaults) == 0 {
		return nil
	}
	f := c.bodyFaults[0]
	text := "[body." + f.field + "] Invalid input: " + f.text
	return &problem{status: 400, code: "VALIDATION_ERROR", text: text}
}

// signOut ends the SSO session and clears its cookie. A request that carries
// neither a cookie nor a browser's headers has nothing to end or protect.
func signOut(ctx context.Context, c *call, _ none) (done, error) {
	h := c.r.Header
	if len(h["Cookie"]) == 0 && len(h["Origin"]) == 0 && len(h["Sec-Fetch-Site"]) == 0 {
		return done{Success: true}, nil
	}
	if c.api.SameSite(c.r) != nil {
		return done{}, errCSRF
	}
	if err := c.endSession(ctx); err != nil {
		return done{}, err
	}
	return done{Success: true}, nil
}

// endSession revokes the sessions of the request's cookies and clears them.
func (c *call) endSession(ctx context.Context) error {
	if tokens := c.cookies(); len(tokens) > 0 {
		if err := c.auth.SignOut(ctx, c.Client, authcore.SignOut{CookieTokens: tokens}); err != nil {
			return err
		}
	}
	c.clearSession()
	return nil
}
