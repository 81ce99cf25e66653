package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/ulule/limiter/v3"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/gift"
)

// Config is what the API knows of its place in the world.
type Config struct {
	// BaseURL is the address users and clients know: scheme and host.
	BaseURL *url.URL
	// Origins may call with credentials and be redirected to.
	Origins authcore.Origins
	// Version of the program, for the OpenAPI document.
	Version string
	// ServiceKey is the secret with which back ends call internal routes.
	// Where it is empty those routes are closed.
	ServiceKey string
	// RegistrationClosed refuses everybody an account.
	RegistrationClosed bool
}

// Credits are the cores of what can be paid with, and for.
type Credits struct {
	Ledger  *creditcore.Service
	Gifts   *gift.Service
	Billing *billing.Service
}

// Deps is what the API works with. Auth, Credits, SameSite and ClientIP are
// required.
type Deps struct {
	// Auth finds the live identity core for each request. Its error is
	// answered as a database that is away.
	Auth func(context.Context) (*authcore.Service, error)
	// Credits finds the live cores of the ledger, as Auth does.
	Credits func(context.Context) (*Credits, error)
	// Limits finds the live counters. Without them, or where they fail, no
	// request is refused.
	Limits func(context.Context) (limiter.Store, error)
	// Database and Redis are asked by the readiness probe. A nil Redis is
	// reported as not configured.
	Database, Redis func(context.Context) error
	// SameSite refuses an unsafe request that another site may have made the
	// browser send with the user's cookie.
	SameSite func(*http.Request) error
	// ClientIP is the address limits count by. It must not believe headers
	// of clients that are no trusted proxies.
	ClientIP func(*http.Request) netip.Addr
	Pages    *pages.Pages
	Logger   *slog.Logger
	Metrics  Metrics
	// Now is the clock of answers, time.Now where nil.
	Now func() time.Time
}

// Metrics receives measurements. Each func may be nil and must not block.
type Metrics struct {
	// Request is told of every answer. The route is a pattern of the table
	// or "unknown", never a path from outside.
	Request func(method, route string, status int, took time.Duration)
	// Limited is told of every request refused by a limit.
	Limited func(route string)
}

// api is the handler: the table, and what its routes work with.
type api struct {
	Config
	Deps
	router  *router
	openapi []byte
}

// New builds the handler of the whole route table. It answers every path; one
// that is not in the table is a 404, a method that its path lacks a 405.
func New(cfg Config, deps Deps) (http.Handler, error) {
	if cfg.BaseURL == nil || deps.Auth == nil || deps.Credits == nil || deps.SameSite == nil || deps.ClientIP == nil {
		return nil, errors.New("api: BaseURL, Auth, Credits, SameSite and ClientIP are required")
	}
	if deps.Pages == nil {
		p, err := pages.New()
		if err != nil {
			return nil, err
		}
		deps.Pages = p
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	a := &api{Config: cfg, Deps: deps}
	table := routes()
	document, err := openAPI(table, cfg)
	if err != nil {
		return nil, err
	}
	a.openapi = document
	a.router = newRouter(table)
	return a, nil
}

// ServeHTTP answers the request and measures the answer.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := a.Now()
	rt, params := a.router.match(r.Method, r.URL.EscapedPath())
	out := &statusWriter{ResponseWriter: w}
	a.serve(out, r, rt, params)
	if a.Metrics.Request != nil {
		a.Metrics.Request(knownMethod(r.Method), rt.pattern(), out.status, a.Now().Sub(began))
	}
}

// serve takes a request through the phases that no route can forget: headers,
// CORS, limit, guard, body, handler.
func (a *api) serve(w http.ResponseWriter, r *http.Request, rt *route, params []string) {
	secure(w.Header(), a.BaseURL.Scheme == "https")
	if rt == nil || rt.shape != page {
		if a.cors(w, r, rt == nil) {
			return
		}
	}
	if rt == nil {
		methods := a.router.methods(r.URL.EscapedPath())
		if len(methods) > 0 {
			w.Header().Set("Allow", allowed(methods))
		}
		a.refuse(w, r, nil, notInTable(r, methods))
		return
	}
	c := &call{api: a, route: rt, r: r, header: w.Header(), params: params}
	defer a.recovered(w, r, rt)
	if err := a.limit(w, r, rt); err != nil {
		a.refuse(w, r, rt, err)
		return
	}
	if err := c.prepare(w); err != nil {
		a.refuse(w, r, rt, err)
		return
	}
	resp, err := rt.handler.run(r.Context(), c)
	if err != nil {
		a.refuse(w, r, rt, err)
		return
	}
	a.respond(w, r, rt, resp)
}

// recovered turns a panic of a handler into a 500, as any unknown error. The
// one that aborts a response on purpose goes on.
func (a *api) recovered(w http.ResponseWriter, r *http.Request, rt *route) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	a.refuse(w, r, rt, &panicError{v})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// knownMethod keeps methods invented by clients out of metric labels.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
		http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
