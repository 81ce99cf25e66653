package endpoint

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint/validate"
)

// Route is one line of a table.
type Route struct {
	// Method is that of the request; GET answers HEAD as well. Path is what it
	// is asked for under: /a/{name} takes one segment as a parameter.
	Method, Path string
	Handler      Handler
	Rule
}

// Get is a route of the method GET.
func Get(path string, h Handler, r Rule) Route { return Route{http.MethodGet, path, h, r} }

// Post is a route of the method POST.
func Post(path string, h Handler, r Rule) Route { return Route{http.MethodPost, path, h, r} }

// Put is a route of the method PUT.
func Put(path string, h Handler, r Rule) Route { return Route{http.MethodPut, path, h, r} }

// Patch is a route of the method PATCH.
func Patch(path string, h Handler, r Rule) Route { return Route{http.MethodPatch, path, h, r} }

// Delete is a route of the method DELETE.
func Delete(path string, h Handler, r Rule) Route { return Route{http.MethodDelete, path, h, r} }

// Rule is everything about a route but its place and its handler.
type Rule struct {
	// Summary says in the OpenAPI document what the route is for.
	Summary string
	// Status of success, 200 where zero.
	Status int
	Access Access
	// ServiceScope is what a service key with a name must be allowed. A route
	// without one is for the key alone that may do everything.
	ServiceScope servicekey.Scope
	// Unauthenticated, where set, is the answer to who shows neither a token nor a
	// service key that is one, in the route's own words.
	Unauthenticated *Error
	Body            BodyMode
	// Large lets a JSON body have up to [MaxRaw] bytes.
	Large  bool
	Format ErrorFormat
	// Limit by client address, none where zero.
	Limit Limit
	// Closed, where set, is the answer to every request: the route is there,
	// but switched off.
	Closed *Error
	// Charges marks a route that answers 402 where credits are lacking.
	Charges bool
	// Enrolling lets accounts use the route that must set a second factor up
	// first: it helps them to, or to leave.
	Enrolling bool
	// ProofOfWork has requests prove some work, where it is time to. The handler of
	// a page calls [Call.ProveWork] itself.
	ProofOfWork bool
	// Mappings answer errors of the cores that this route words in its own way.
	Mappings []Mapping
	// Errors are the other answers of the handler that are no success, for
	// the OpenAPI document.
	Errors []*Error
	// Found documents that the page also leads on with 302.
	Found bool
	// Unready documents an answer of status 503 that has the body of a success.
	Unready bool
	// Media is the type of a success that is neither JSON nor a page.
	Media string
	// Reads and Writes are the types of the JSON that the handler reads and writes itself,
	// for the document.
	Reads, Writes reflect.Type
	// AnyOrigin lets pages of every origin read the answer, and send the request without
	// the user's cookies: it is for clients that are such pages themselves.
	AnyOrigin bool
	// Headers that the handler reads, beside Idempotency-Key, for the document.
	Headers []HeaderParam
	// Recoverable gives the texts of 429 and 5xx a phrase by which clients
	// tell trouble of the network from the end of a session.
	Recoverable bool
}

// HeaderParam is a header that a route reads.
type HeaderParam struct {
	Name, Text string
	Required   bool
}

// Access is what a request must bring.
type Access int

// The kinds of access.
const (
	// Open routes need no identity core: they answer while it is away.
	Open Access = iota
	// Anyone may call; the core is there.
	Anyone
	// User needs a Bearer access token (RFC 6750, section 2.1).
	User
	// Cookie reads the SSO cookie, for the OpenAPI document; the handler
	// decides what it needs.
	Cookie
	// Service needs a key of the family's back ends, in X-Service-Key or as a
	// Bearer token.
	Service
	// UserOrService takes either; [Call.Service] says which. Of a request that
	// brings a key the key alone decides.
	UserOrService
)

// BodyMode is what becomes of a body that does not fit.
type BodyMode int

// The modes.
const (
	// Strict refuses unknown fields and answers all errors at once.
	Strict BodyMode = iota
	// Lenient ignores unknown fields and leaves errors to the handler, in
	// [Call.FieldErrors] and [Call.BodyErr].
	Lenient
	// Stream leaves the body to the handler, unread, in [Call.Request]. The handler
	// bounds it.
	Stream
	// Raw leaves the body to the handler, in [Call.Raw], of any type and up to
	// [MaxRaw] bytes.
	Raw
)

// ErrorFormat is how the errors of a route are written.
type ErrorFormat int

// The formats.
const (
	// Legacy is {statusCode, message, timestamp, path, code?, …}, as the
	// service that this one replaces answers.
	Legacy ErrorFormat = iota
	// BetterAuth is {message, code, …}, as the library of that name answers
	// under /api/auth.
	BetterAuth
	// Page is HTML.
	Page
	// OAuth is {error, error_description} (RFC 6749, section 5.2).
	OAuth
)

func (rt *Route) pattern() string {
	if rt == nil {
		return "unknown"
	}
	return rt.Path
}

// Success is the status of success.
func (rt *Route) Success() int {
	if rt.Status == 0 {
		return 200
	}
	return rt.Status
}

// MostBody bounds a JSON body or a form, in bytes.
func (rt *Route) MostBody() int64 {
	if rt.Large {
		return MaxRaw
	}
	return MaxBody
}

// ReadsBody reports whether the route takes a body in any form.
func (rt *Route) ReadsBody() bool {
	return rt.Handler.Plan.ReadsBody || rt.Body == Raw || rt.Body == Stream
}

// Keyed reports whether a repeated request under one idempotency key takes
// effect once.
func (rt *Route) Keyed() bool {
	return slices.ContainsFunc(rt.Handler.Plan.Fields, func(f validate.Field) bool {
		return f.Source == validate.FromBody && f.Name == "idempotencyKey"
	})
}

// Handler is a route's function with its types, which the body is decoded by
// and the OpenAPI document made of.
type Handler struct {
	// Plan is how the request type is filled.
	Plan *validate.Plan
	// Response is the type of a success.
	Response reflect.Type
	run      func(context.Context, *Call) (any, error)
}

// None is the request of a route that reads nothing.
type None struct{}

// Handle makes a handler of a function from a decoded request to an answer.
// Fields of Req are the body's, but those tagged `path` or `query`. An [Answer]
// writes itself; any other response is written as JSON.
func Handle[Req, Resp any](fn func(context.Context, *Call, Req) (Resp, error)) Handler {
	p := validate.For(reflect.TypeFor[Req]())
	return Handler{
		Plan:     p,
		Response: reflect.TypeFor[Resp](),
		run: func(ctx context.Context, c *Call) (any, error) {
			var req Req
			if err := c.fill(p, reflect.ValueOf(&req).Elem()); err != nil {
				return nil, err
			}
			return fn(ctx, c, req)
		},
	}
}

// HandleWith is [Handle] for a function that works with a core of its own. The
// live one is found for each request; an error is answered as a database that
// is away.
func HandleWith[Core, Req, Resp any](
	find func(context.Context) (Core, error), fn func(context.Context, *Call, Core, Req) (Resp, error),
) Handler {
	return Handle(func(ctx context.Context, c *Call, req Req) (Resp, error) {
		core, err := find(ctx)
		if err != nil {
			var none Resp
			return none, errors.Join(authcore.ErrUnavailable, err)
		}
		return fn(ctx, c, core, req)
	})
}
