package endpoint

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/origin"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint/decode"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

// Call is one request on its way through a route: who acts, and what a handler
// may need beside the decoded body.
type Call struct {
	// Caller is filled on routes with access User, or UserOrService without a
	// key; elsewhere only its Client.
	principal.Caller
	// Service says that the request brought a service key that may do what the
	// route's ServiceScope is for, and Key is it.
	Service bool
	Key     servicekey.Key
	// Auth is the identity core, nil on Open routes.
	Auth *authcore.Service
	// Request is the one of the client. Its body is read.
	Request *http.Request
	// Header is that of the answer.
	Header http.Header
	// Raw is the body of a route that takes it raw.
	Raw []byte
	// FieldErrors are what a lenient route was spared: what is wrong with the
	// fields, and BodyErr what is wrong with the whole body.
	FieldErrors []validate.FieldError
	BodyErr     error

	server *server
	route  *Route
	params []string
	body   decode.Body
}

// prepare checks who calls and reads the body.
func (c *Call) prepare(w http.ResponseWriter) error {
	c.Client = principal.Client{IP: c.server.ClientIP(c.Request), UserAgent: request.Printable(c.Request.UserAgent(), 512)}
	if _, chosen := c.server.chosenLanguage(c.Request); chosen || c.Request.Header.Get("Accept-Language") != "" {
		c.Client.Language = string(c.server.languageOf(c.Request))
	}
	if c.route.Closed != nil {
		return c.route.Closed
	}
	if c.route.Access != Open {
		auth, err := c.server.Auth(c.Request.Context())
		if err != nil {
			return errors.Join(authcore.ErrUnavailable, err)
		}
		c.Auth = auth
		c.Client.Guest, _ = auth.Cookies().Guest(c.Request.Header["Cookie"], c.server.Now())
	}
	if err := c.admit(); err != nil {
		return err
	}
	if !c.route.ReadsBody() {
		return nil
	}
	if c.route.Body == Stream {
		return nil
	}
	if c.route.Body == Raw {
		content, err := readAll(w, c.Request, MaxRaw)
		c.Raw = content
		return err
	}
	body, err := readBody(w, c.Request, c.route.MostBody())
	if err != nil {
		if c.route.Body == Strict {
			return err
		}
		c.BodyErr = err
	}
	c.body = body
	return nil
}

// admit refuses who does not bring what the route asks for.
func (c *Call) admit() error {
	var err error
	switch c.route.Access {
	case User:
		err = c.Authenticate()
	case Service, UserOrService:
		err = c.admitService()
	}
	if own := c.route.Unauthenticated; own != nil && errors.Is(err, errUnauthenticated) {
		return own
	}
	return err
}

// Authenticate verifies the Bearer token and names the caller. Routes with
// access User have done so already. A token that was made for an API key is
// refused: keys act at apps, never on the account itself. It fails with
// [authcore.ErrSecondFactorMissing] where the route is none for who lacks one.
func (c *Call) Authenticate() error {
	token, ok := request.Bearer(c.Request.Header)
	if !ok {
		return unauthenticated(request.ErrNoToken)
	}
	claims, err := c.Auth.Verify(c.Request.Context(), token)
	if err != nil {
		return err
	}
	if claims.APIKeyID != "" {
		return ErrKeyRefused
	}
	c.UserID, c.Email, c.Role, c.SessionID = claims.Subject, claims.Email, claims.Role, claims.SessionID
	if c.Auth.TokenLacksSecondFactor(&claims) && !c.route.Enrolling {
		return authcore.ErrSecondFactorMissing
	}
	return nil
}

// Enrolling reports whether accounts may use the route that must set a second
// factor up first.
func (c *Call) Enrolling() bool { return c.route.Enrolling }

// SameSite refuses a request that another site may have made the browser send
// with the user's cookie.
func (c *Call) SameSite() error {
	if c.server.SameSite(c.Request) != nil {
		return ErrCrossSite
	}
	return nil
}

// OwnForm refuses a form that did not come from a page at the base URL, and a
// body that is none. A trusted origin may call the API, but who signs in where,
// and what an account is, is the business of the hosted pages alone. A browser
// that names no origin must say that it sends the form to where it has it from.
func (c *Call) OwnForm() error {
	origin, site := c.Request.Header["Origin"], c.Request.Header["Sec-Fetch-Site"]
	switch {
	case len(origin) == 1 && origin[0] != "null":
		if !c.Origins().IsBase(origin[0]) {
			return ErrCrossSite
		}
	case len(origin) > 1, len(site) != 1, site[0] != "same-origin", !strings.EqualFold(c.Request.Host, c.BaseURL().Host):
		return ErrCrossSite
	}
	return c.BodyErr
}

// Brand is whose pages the hosted ones are.
func (c *Call) Brand() pages.Brand { return c.server.Pages.Brand }

// Logger is where what concerns admins goes.
func (c *Call) Logger() *slog.Logger { return c.server.Logger }

// Now is the time of the answer.
func (c *Call) Now() time.Time { return c.server.Now() }

// BaseURL is the address users and clients know: scheme and host.
func (c *Call) BaseURL() *url.URL { return c.server.BaseURL }

// Origins may call with credentials and be redirected to.
func (c *Call) Origins() origin.List { return c.server.Origins }

// SetCookie adds a Set-Cookie header to the answer.
func (c *Call) SetCookie(value string) { c.Header.Add("Set-Cookie", value) }

// ForgetGuest has the browser of somebody who has signed up forget the wallet that it
// had as a guest's. Whoever the address turned out to belong to, the answer is the same.
func (c *Call) ForgetGuest() {
	if c.Client.Guest == "" {
		return
	}
	for _, value := range c.Auth.Cookies().ClearGuest() {
		c.SetCookie(value)
	}
}

// Known is the answer to an error that the route or the common table knows,
// nil where neither does.
func (c *Call) Known(err error) *Error { return known(c.route, err) }

// fill decodes the body and the parameters of path and query into a request.
func (c *Call) fill(p *validate.Plan, into reflect.Value) error {
	in := validate.Input{Params: c.params, Body: c.body, Service: c.Service}
	if p.ReadsQuery {
		query, err := decode.Form(c.Request.URL.RawQuery)
		if err != nil {
			return ErrMalformedQuery
		}
		in.Query = query
	}
	errs := p.Fill(into, in, c.route.Body == Strict)
	if len(errs) == 0 {
		return nil
	}
	if c.route.Body == Lenient {
		c.FieldErrors = errs
		return nil
	}
	texts := make([]string, len(errs))
	for i, e := range errs {
		texts[i] = e.Text
	}
	return Invalid(texts...)
}

// FieldText names the text of the first field's error in the texts of the pages,
// empty where there is none.
func (c *Call) FieldText() string {
	if len(c.FieldErrors) == 0 {
		return ""
	}
	return "FIELD_" + c.FieldErrors[0].Field + "_" + c.FieldErrors[0].Rule
}

// TextOf is an optional text, empty where it was not sent.
func TextOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TrustedOrigin is the origin of a URL where redirects may lead there, else
// empty.
func (c *Call) TrustedOrigin(raw string) string {
	target, ok := c.Origins().ReturnTarget(raw)
	if !ok {
		return ""
	}
	return OriginOf(target)
}

// OriginOf is the origin of a checked target, empty without one.
func OriginOf(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
