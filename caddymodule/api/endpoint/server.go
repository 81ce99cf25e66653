package endpoint

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
	"mana.how/edge/authcore/origin"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/tracing"
)

// Config is what the routes know of their place in the world.
type Config struct {
	// BaseURL is the address users and clients know: scheme and host.
	BaseURL *url.URL
	// Origins may call with credentials and be redirected to.
	Origins origin.List
	// ServiceKeys are those with which back ends call internal routes. Where
	// there are none those routes are closed.
	ServiceKeys servicekey.Set
	// ProofOfWork says when routes that make accounts and mails ask for one.
	ProofOfWork WorkMode
}

// Deps is what the routes work with. Auth, SameSite and ClientIP are required.
type Deps struct {
	// Auth finds the live identity core for each request. Its error is
	// answered as a database that is away.
	Auth func(context.Context) (*authcore.Service, error)
	// Limits finds the live counters. Without them, or where they fail, no
	// request is refused.
	Limits func(context.Context) (limiter.Store, error)
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
	// Work is told of proofs of work: asked, solved or refused.
	Work func(outcome string)
}

// server is the handler: the table, and what its routes work with.
type server struct {
	Config
	Deps
	router *router
}

// New builds the handler of a table of routes. It answers every path; one that
// is not in the table is a 404, a method that its path lacks a 405.
func New(cfg Config, deps Deps, table []Route) (http.Handler, error) {
	if cfg.BaseURL == nil || deps.Auth == nil || deps.SameSite == nil || deps.ClientIP == nil {
		return nil, errors.New("endpoint: BaseURL, Auth, SameSite and ClientIP are required")
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
	router, err := newRouter(table)
	if err != nil {
		return nil, err
	}
	return &server{cfg, deps, router}, nil
}

// ServeHTTP answers the request and measures the answer.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.Now()
	rt, params := s.router.match(r.Method, r.URL.EscapedPath())
	tracing.Route(r.Context(), knownMethod(r.Method), rt.pattern())
	out := &statusWriter{ResponseWriter: w}
	s.serve(out, r, rt, params)
	if s.Metrics.Request != nil {
		s.Metrics.Request(knownMethod(r.Method), rt.pattern(), out.status, s.Now().Sub(began))
	}
}

// serve takes a request through the phases that no route can forget: headers,
// CORS, limit, access, body, handler.
func (s *server) serve(w http.ResponseWriter, r *http.Request, rt *Route, params []string) {
	secure(w.Header(), s.BaseURL.Scheme == "https")
	if rt == nil || rt.Format != Page {
		if s.cors(w, r, rt) {
			return
		}
	}
	if rt == nil {
		methods := s.router.methods(r.URL.EscapedPath())
		if len(methods) > 0 {
			w.Header().Set("Allow", allowed(methods))
		}
		s.refuse(w, r, nil, notInTable(r, methods))
		return
	}
	c := &Call{Request: r, Header: w.Header(), server: s, route: rt, params: params}
	defer s.recovered(w, r, rt)
	if err := s.limit(w, r, rt); err != nil {
		s.refuse(w, r, rt, err)
		return
	}
	if err := c.prepare(w); err != nil {
		s.refuse(w, r, rt, err)
		return
	}
	if rt.ProofOfWork && rt.Format != Page {
		if err := c.ProveWork(r.Context()); err != nil {
			s.refuse(w, r, rt, err)
			return
		}
	}
	resp, err := rt.Handler.run(r.Context(), c)
	if err != nil {
		s.refuse(w, r, rt, err)
		return
	}
	s.respond(w, r, rt, resp)
}

// recovered turns a panic of a handler into a 500, as any unknown error. The
// one that aborts a response on purpose goes on.
func (s *server) recovered(w http.ResponseWriter, r *http.Request, rt *Route) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.refuse(w, r, rt, &panicError{v})
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
