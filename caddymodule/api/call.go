package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// call is one request on its way through a route: who acts, and what a handler
// may need beside the decoded body.
type call struct {
	// Caller is filled on routes with access user, or userOrService without a
	// key; elsewhere only its Client.
	authcore.Caller
	// Service tells that the request brought the service key.
	Service bool
	auth    *authcore.Service
	credits *Credits
	api     *api
	route   *route
	r       *http.Request
	header  http.Header // of the answer
	params  []string
	body    body
	raw     []byte // the body of a route that takes it raw
	// bodyFaults are what a lenient route was spared: what is wrong with the
	// fields, or with the whole body.
	bodyFaults []bodyFault
	bodyErr    error
}

// prepare resolves the cores, checks who calls and reads the body.
func (c *call) prepare(w http.ResponseWriter) error {
	c.Client = c.client()
	if c.route.registers && c.api.RegistrationClosed {
		return errRegistrationClosed
	}
	if c.route.access != open {
		if err := c.resolve(); err != nil {
			return errors.Join(authcore.ErrUnavailable, err)
		}
	}
	if err := c.admit(); err != nil {
		return err
	}
	if !c.route.readsBody() {
		return nil
	}
	if c.route.body == raw {
		content, err := readAll(w, c.r, maxRaw)
		c.raw = content
		return err
	}
	b, err := readBody(w, c.r)
	if err != nil {
		if c.route.body == strict {
			return err
		}
		c.bodyErr = err
	}
	c.body = b
	return nil
}

// resolve finds the live cores.
func (c *call) resolve() (err error) {
	if c.auth, err = c.api.Auth(c.r.Context()); err != nil {
		return err
	}
	c.credits, err = c.api.Credits(c.r.Context())
	return err
}

// admit refuses who does not bring what the route asks for.
func (c *call) admit() error {
	keys := c.r.Header[serviceKeyHeader]
	switch access := c.route.access; {
	case access == user, access == userOrService && len(keys) == 0:
		return c.authenticate()
	case access == service, access == userOrService:
		if len(keys) == 0 {
			return errNoKey
		}
		if len(keys) != 1 || !c.api.isServiceKey(keys[0]) {
			return errWrongKey
		}
		c.Service = true
	}
	return nil
}

// serviceKeyHeader carries the secret of the family's back ends.
const serviceKeyHeader = "X-Service-Key"

// isServiceKey compares in constant time, the length included. Without a key
// in the configuration nothing is one.
func (a *api) isServiceKey(key string) bool {
	want, got := sha256.Sum256([]byte(a.ServiceKey)), sha256.Sum256([]byte(key))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && a.ServiceKey != ""
}

// payer is the caller as the ledger knows him.
func (c *call) payer() creditcore.Caller {
	return creditcore.Caller{UserID: c.UserID, Email: c.Email, Role: string(c.Role)}
}

// authenticate verifies the Bearer token and names the caller.
func (c *call) authenticate() error {
	token, ok := request.Bearer(c.r.Header)
	if !ok {
		return errNoToken
	}
	claims, err := c.auth.Verify(c.r.Context(), token)
	if err != nil {
		return err
	}
	c.UserID, c.Email, c.Role, c.SessionID = claims.Subject, claims.Email, claims.Role, claims.SessionID
	return nil
}

// fill decodes the body and the parameters of path and query into a request.
func (c *call) fill(p *plan, into reflect.Value) error {
	r := received{params: c.params, body: c.body, service: c.Service}
	if p.readsQuery {
		query, err := parseForm(c.r.URL.RawQuery)
		if err != nil {
			return malformedQuery
		}
		r.query = query
	}
	faults := p.fill(into, r, c.route.body == strict)
	if len(faults) == 0 {
		return nil
	}
	if c.route.body == lenient {
		c.bodyFaults = faults
		return nil
	}
	return invalid(faults)
}

// cookies are the verified tokens of every SSO cookie the request carries.
func (c *call) cookies() []string { return c.auth.Cookies().Tokens(c.r.Header["Cookie"]) }

func (c *call) setCookie(value string) { c.header.Add("Set-Cookie", value) }

// setSession sends the SSO cookie of a browser session.
func (c *call) setSession(b authcore.BrowserSession) {
	s := b.Session()
	left, ttl := s.ExpiresAt.Sub(c.api.Now()), c.auth.SessionTTL()
	if left > ttl-time.Minute {
		left = ttl // a new session's, less the time this request took
	}
	c.setCookie(c.auth.Cookies().Set(b.Token, s.Persistent, left))
	if !s.Persistent {
		c.setCookie(c.auth.Cookies().SetBriefly())
	}
}

func (c *call) clearSession() {
	for _, value := range c.auth.Cookies().Clear() {
		c.setCookie(value)
	}
}

// knownDevice names the browser by its device cookie, and gives it one that
// had none: lockout counts the tries of a device that signed in before apart.
func (c *call) knownDevice() {
	cookies := c.auth.Cookies()
	id, ok := cookies.Device(c.r.Header["Cookie"])
	if !ok {
		set := cookies.NewDevice()
		c.setCookie(set)
		pair, _, _ := strings.Cut(set, ";")
		id, _ = cookies.Device([]string{pair})
	}
	c.Client.DeviceID = id
}

// printable makes a text from a header fit to store: valid UTF-8 without
// control characters, of at most n bytes.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
