package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/request"
)

// errNoToken means that the client shows nothing to be known by.
var errNoToken = errors.New("no token provided")

// gateRequest is one request at the gate.
type gateRequest struct {
	writer  *appWriter
	w       http.ResponseWriter
	r       *http.Request
	auth    *gateService
	cookies []string // the Cookie headers as the client sent them
	taken   bool     // some of the cookies do not go on
	claims  authcore.Claims
	session authcore.BrowserSession // where the client came with a cookie
	bearer  string                  // the access token to send upstream in its place
}

// authenticate finds out who the request acts for: by its access token, else by
// its sign-on cookie. It fails with errNoToken, [request.ErrCrossSite] or an
// error of authcore. It answers nothing.
func (q *gateRequest) authenticate() (who request.Principal, err error) {
	if token, ok := request.Bearer(q.r.Header); ok {
		q.claims, err = q.auth.Verify(q.r.Context(), token)
	} else {
		err = q.authenticateCookie()
	}
	if err != nil {
		return request.Principal{}, err
	}
	return request.PrincipalOf(&q.claims), nil
}

func (q *gateRequest) authenticateCookie() error {
	if len(q.r.Header["Authorization"]) > 1 || len(q.cookies) == 0 {
		return errNoToken
	}
	ctx := q.r.Context()
	var err error
	q.session, err = q.auth.BrowserSession(ctx, q.cookies)
	if errors.Is(err, authcore.ErrNoCookie) {
		return errNoToken
	}
	if err != nil {
		return err
	}
	if err := request.SameSite(q.r, q.auth.Origins()); err != nil {
		return err
	}
	q.bearer, q.claims, err = q.auth.Bearer(ctx, q.session)
	return err
}

// renewCookie sends the SSO cookie again where the session's end has moved,
// once a response: the rate limit may have seen the same session before.
func renewCookie(w http.ResponseWriter, auth *authcore.Service, b authcore.BrowserSession) {
	if !b.Renewed {
		return
	}
	s := b.Session()
	cookie := auth.Cookies().Set(b.Token, s.Persistent, time.Until(s.ExpiresAt).Round(time.Second))
	addCookie(w, cookie)
}
