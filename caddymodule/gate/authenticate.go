package gate

import (
	"context"
	"errors"
	"net/http"

	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/site"
)

// gateRequest is one request at the gate.
type gateRequest struct {
	writer  *site.Writer
	w       http.ResponseWriter
	r       *http.Request
	auth    *gateService
	log     *zap.Logger
	cookies []string // the Cookie headers as the client sent them
	taken   bool     // some of the cookies do not go on
	claims  token.Claims
	session authcore.BrowserSession // where the client came with a cookie
	bearer  string                  // the access token to send upstream in place of what the client came with
	byKey   bool                    // that was an API key
	ticket  string                  // of the query, empty without one
	of      string                  // the site, for metrics
}

// authenticate finds out who the request acts for: by its access token or API
// key, or by a token that a client got for one of the audiences, else by its ticket, else by its sign-on
// cookie. It fails with [request.ErrNoToken], [request.ErrCrossSite] or an
// error of authcore. It answers nothing.
func (q *gateRequest) authenticate(ctx context.Context, audiences []string) (who request.Principal, err error) {
	token, isToken := request.Bearer(q.r.Header)
	var clientID string
	key, isKey := request.APIKey(token, q.r.Header)
	request.DropAPIKey(q.r.Header)
	switch {
	case isKey:
		err = q.authenticateKey(ctx, key)
	case isToken:
		q.claims, clientID, err = q.auth.VerifyFor(ctx, token, audiences)
	case q.ticket != "":
		err = q.authenticateTicket(ctx)
	default:
		err = q.authenticateCookie(ctx)
	}
	if err != nil {
		return request.Principal{}, err
	}
	who = request.PrincipalOf(&q.claims)
	if clientID != "" {
		who.ClientID, who.Scopes = clientID, q.claims.Scopes
	}
	return who, nil
}

func (q *gateRequest) authenticateCookie(ctx context.Context) error {
	if len(q.r.Header["Authorization"]) > 1 || len(q.cookies) == 0 {
		return request.ErrNoToken
	}
	var err error
	q.session, err = q.auth.BrowserSession(ctx, q.cookies)
	if errors.Is(err, authcore.ErrNoCookie) {
		return request.ErrNoToken
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
