package endpoint

import (
	"errors"
	"net/http"

	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/request"
)

// ServiceKeyHeader carries the key of a back end of the family. It may come as a
// Bearer token too, which access logs redact by themselves.
const ServiceKeyHeader = "X-Service-Key"

// What is answered to who has no service key, or one that may not do this.
var (
	ErrNoServiceKey    = &Error{Status: 401, Code: "NO_SERVICE_KEY", Message: "No service key provided"}
	ErrWrongServiceKey = &Error{Status: 401, Code: "INVALID_SERVICE_KEY", Message: "Invalid service key"}
	ErrServiceScope    = &Error{Status: 403, Code: "SCOPE_REQUIRED", Message: "Forbidden: the service key lacks the scope that this needs"}
	ErrServiceApp      = &Error{Status: 403, Code: "SCOPE_REQUIRED", Message: "Forbidden: the service key acts under its own appId alone"}
	// ErrKeyRefused refuses a token that the gate made for an API key.
	ErrKeyRefused = &Error{Status: 403, Code: "SCOPE_REQUIRED", Message: "Forbidden: an API key does not act on the account"}
)

// errUnauthenticated marks that a request shows nothing to be known by, or a
// service key that is none. A route may have words of its own for that.
var errUnauthenticated = errors.New("unauthenticated")

func unauthenticated(err error) error { return errors.Join(err, errUnauthenticated) }

// shownKey is the text in which a request shows a service key: the header for it,
// else the bearer token, which may be something else.
func shownKey(h http.Header) (text string, byHeader bool) {
	if values, ok := h[ServiceKeyHeader]; ok {
		if len(values) == 1 {
			text = values[0]
		}
		return text, true
	}
	text, _ = request.Bearer(h)
	return text, false
}

// ShownServiceKey is the text in which a request shows a service key, and
// whether it shows one or what may be one.
func ShownServiceKey(h http.Header) (text string, shown bool) {
	text, byHeader := shownKey(h)
	return text, byHeader || text != ""
}

// serviceKey is the key that the request shows. A wrong one in the header for it
// is a refusal, not a request without.
func (c *Call) serviceKey() (key servicekey.Key, ok bool, err error) {
	text, byHeader := shownKey(c.Request.Header)
	key, ok = c.server.ServiceKeys.Find(text)
	if byHeader && !ok {
		return key, false, unauthenticated(ErrWrongServiceKey)
	}
	return key, ok, nil
}

// admitService admits a back end or, where the route is for users too, a user.
func (c *Call) admitService() error {
	key, ok, err := c.serviceKey()
	switch {
	case err != nil:
		return err
	case !ok && c.route.Access == UserOrService:
		return c.Authenticate()
	case !ok:
		return unauthenticated(ErrNoServiceKey)
	case !key.May(c.route.ServiceScope):
		return ErrServiceScope
	}
	c.Service, c.Key = true, key
	return nil
}

// ByService reports whether the request brought a service key that may do this,
// on a route that needs none. A wrong one is a refusal, and one that may not do
// this is as none.
func (c *Call) ByService(scope servicekey.Scope) (bool, error) {
	key, ok, err := c.serviceKey()
	if err != nil || !ok || !key.May(scope) {
		return false, err
	}
	c.Key = key
	return true, nil
}

// UserBesideKey verifies the Bearer token of the user for whom a back end asks
// that has shown its key in the header for it. ok is false where there is none.
func (c *Call) UserBesideKey() (ok bool, err error) {
	if _, shown := request.Bearer(c.Request.Header); !shown || len(c.Request.Header[ServiceKeyHeader]) == 0 {
		return false, nil
	}
	return true, c.Authenticate()
}

// ActFor refuses a back end that acts under the appId of another app. Users may
// name any.
func (c *Call) ActFor(app string) error {
	if c.Service && !c.Key.MayActFor(app) {
		return ErrServiceApp
	}
	return nil
}
