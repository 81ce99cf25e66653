package api

import (
	"context"
	"reflect"

	"mana.how/edge/authcore"
)

// route is one line of the table.
type route struct {
	method, path string
	handler      handler
	rule
}

// rule is everything about a route but its place and its handler.
type rule struct {
	summary string
	// status of success, 200 where zero.
	status int
	access access
	body   bodyMode
	shape  shape
	limit  limit
	// charges marks a route that answers 402 where credits are lacking.
	charges bool
	// registers marks a route that makes accounts, or shows the way to one.
	registers bool
	// faults are answers to errors that this route words in its own way.
	faults []fault
	// refusals are the other answers of the handler that are no success, for
	// the OpenAPI document.
	refusals []*problem
	// unready documents an answer of status 503 that has the body of a success.
	unready bool
	// media is the type of a success that is neither JSON nor a page.
	media string
	// headers that the handler reads, beside Idempotency-Key, for the document.
	headers []headerParam
	// recoverable gives the texts of 429 and 5xx a phrase by which clients
	// tell trouble of the network from the end of a session.
	recoverable bool
}

// access is what a request must bring.
type access int

const (
	// open routes need no identity core: they answer while it is away.
	open access = iota
	// anyone may call; the core is there.
	anyone
	// user needs a Bearer access token (RFC 6750, section 2.1).
	user
	// cookie reads the SSO cookie, for the OpenAPI document; the handler
	// decides what it needs.
	cookie
	// service needs the key of the family's back ends in X-Service-Key.
	service
	// userOrService takes either; call.Service tells which. A request that
	// brings a key is judged by the key alone.
	userOrService
)

// bodyMode tells how a body that does not fit is met.
type bodyMode int

const (
	// strict refuses unknown fields and answers all faults at once.
	strict bodyMode = iota
	// lenient ignores unknown fields and leaves faults to the handler.
	lenient
	// raw leaves the body to the handler, in call.raw, of any type and up to
	// 1 MB.
	raw
)

// shape is the form of a route's errors.
type shape int

const (
	// contract is {statusCode, message, timestamp, path, code?}.
	contract shape = iota
	// native is {message, code}, of the routes under /api/auth.
	native
	// page is HTML.
	page
)

func (rt *route) pattern() string {
	if rt == nil {
		return "unknown"
	}
	return rt.path
}

func (rt *route) success() int {
	if rt.status == 0 {
		return 200
	}
	return rt.status
}

// handler is a route's function with its types, which the body is decoded by
// and the OpenAPI document made of.
type handler struct {
	request, response reflect.Type
	plan              *plan
	run               func(context.Context, *call) (any, error)
}

// readsBody reports whether the route takes a body in any form.
func (rt *route) readsBody() bool { return rt.handler.plan.readsBody || rt.body == raw }

// handle makes a handler of a function from a decoded request to an answer.
// Fields of Req are the body's, but those tagged `path` or `query`. An answer
// that implements [answerer] writes itself; any other is written as JSON.
func handle[Req, Resp any](fn func(context.Context, *call, Req) (Resp, error)) handler {
	p := planFor(reflect.TypeFor[Req]())
	return handler{
		request:  reflect.TypeFor[Req](),
		response: reflect.TypeFor[Resp](),
		plan:     p,
		run: func(ctx context.Context, c *call) (any, error) {
			var req Req
			if err := c.fill(p, reflect.ValueOf(&req).Elem()); err != nil {
				return nil, err
			}
			return fn(ctx, c, req)
		},
	}
}

// none is the request of a route that reads no body.
type none struct{}

// client is the device a caller connects from.
func (c *call) client() authcore.Client {
	return authcore.Client{IP: c.api.ClientIP(c.r), UserAgent: printable(c.r.UserAgent(), 512)}
}
