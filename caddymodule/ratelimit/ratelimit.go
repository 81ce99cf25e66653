package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/ulule/limiter/v3"
	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/guard"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/site"
	"mana.how/edge/caddymodule/syntax"
)

func init() {
	caddy.RegisterModule(new(RateLimit))
	site.RegisterDirective("mana_rate_limit", parseRateLimit)
}

const (
	// identifyWait is how long a request waits for its user to be found. A gate
	// behind the limit goes on waiting for the same answer.
	identifyWait = 250 * time.Millisecond
	// storeWait is how long a request waits for the counters.
	storeWait = time.Second
	// storeRest is how long the counters are left alone once they failed, and
	// storeSilence how long until the next log line about it.
	storeRest    = time.Second
	storeSilence = 30 * time.Second
)

// RateLimit answers 429 to a client that sends more than so many requests in a
// window of time. Every answer tells how matters stand, in
// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`
// (seconds until the window ends); a 429 adds `Retry-After`.
//
// Counters live with the mana app: in Redis where it has one, else in the
// process, and outlive a reload. Should they fail, requests pass, the log says
// so twice a minute at most, and `mana_rate_limit_failures_total` counts them.
type RateLimit struct {
	site.Scope

	// How many requests may pass in one window.
	Limit int64 `json:"limit"`

	// The length of the window, at least a second.
	Window caddy.Duration `json:"window"`

	// What is counted:
	//
	//   - `ip` (the default): the client's address by Caddy's trusted proxy
	//     rules; an IPv6 client is its /64 network;
	//   - `user`: the user of a verified access token, API key or sign-on cookie;
	//   - `api_key`: a verified API key, on top of the rate that it has of its own;
	//   - `header`: the value of a request header. A client is free to send
	//     another value each time, so this is for headers a proxy in front sets.
	//
	// A request without a verified user or key, or without the header, is
	// counted by its address.
	Key string `json:"key,omitempty"`

	// The name of the header for key `header`.
	Header string `json:"header,omitempty"`

	// Handlers of the same zone, limit, window and key share their counters.
	// The Caddyfile gives each directive a zone of its own.
	Zone string `json:"zone,omitempty"`

	// What is wrong with the directive in a Caddyfile. With any, the config is refused.
	Faults syntax.Faults `json:"faults,omitempty"`

	services  *app.Lookup[limitServices]
	prefix    string
	rate      limiter.Rate
	failed    func() // counts a request that passed uncounted
	restUntil atomic.Int64
	silent    atomic.Int64
}

// limitServices are what the limit needs of the runtime.
type limitServices struct {
	auth  *authcore.Service
	store limiter.Store
}

func limitServicesOf(rt *services.Runtime) limitServices { return limitServices{rt.Auth, rt.Limits} }

// CaddyModule returns the Caddy module information.
func (*RateLimit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mana_rate_limit",
		New: func() caddy.Module { return new(RateLimit) },
	}
}

// Provision finds the app. It connects to nothing.
func (l *RateLimit) Provision(ctx caddy.Context) error {
	source, err := app.ProvisionSite(ctx, l)
	if err != nil {
		return err
	}
	if err := l.ProvisionScope(ctx, source); err != nil {
		return err
	}
	l.Bind(source)
	return nil
}

// Bind lets the limit work with what the app has, once it has started. Provision
// does it.
func (l *RateLimit) Bind(source app.Source) {
	l.services = app.NewLookup(source, storeWait, limitServicesOf)
	l.failed = metrics.Uncounted.Inc
	l.resolve()
}

func (l *RateLimit) resolve() {
	window := time.Duration(l.Window)
	l.prefix = fmt.Sprintf("gate:%s:%d/%s:%s%s:", l.Zone, l.Limit, window, l.Key, l.Header)
	l.rate = limiter.Rate{Formatted: fmt.Sprintf("%d/%s", l.Limit, window), Period: window, Limit: l.Limit}
}

// Validate reports every fault of the configuration.
func (l *RateLimit) Validate() error {
	if len(l.Faults) > 0 {
		return l.Faults.Err()
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("mana_rate_limit: "+format, args...))
	}
	if l.Limit < 1 {
		fault("limit: %d is not a number of requests from 1 up", l.Limit)
	}
	if time.Duration(l.Window) < time.Second {
		fault("window: %v is shorter than a second", time.Duration(l.Window))
	}
	switch l.Key {
	case "", "ip", "user", "api_key":
		if l.Header != "" {
			fault("header: only key header takes a name")
		}
	case "header":
		if !httpguts.ValidHeaderFieldName(l.Header) {
			fault("header: %q is not the name of a header", l.Header)
		}
	default:
		fault("key: %q is none of ip, user, api_key, header", l.Key)
	}
	return errors.Join(faults...)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (l *RateLimit) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	entered, r, err := l.Enter(w, r)
	if err != nil {
		return site.Refuse(w, r, err)
	}
	w, next = entered.W, entered.Before(next)
	if ours, err := l.Concerns(r); err != nil {
		return err
	} else if !ours {
		return entered.Pass(r, next)
	}
	if entered.Early {
		return site.Refuse(w, r, guard.ErrTooEarly)
	}
	count, err := l.count(w, r)
	if err != nil {
		if r.Context().Err() == nil {
			l.storeFailed(err)
		}
		return entered.Pass(r, next)
	}
	reset := answer.Seconds(time.Until(time.Unix(count.Reset, 0)))
	h := w.Header()
	h.Set("X-RateLimit-Limit", strconv.FormatInt(count.Limit, 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatInt(count.Remaining, 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	entered.Writer.Limits = []string{h["X-Ratelimit-Limit"][0], h["X-Ratelimit-Remaining"][0], h["X-Ratelimit-Reset"][0]}
	if !count.Reached {
		return entered.Pass(r, next)
	}
	metrics.Process.Limited(l.SiteName(r), "mana_rate_limit")
	answer.AllowReading(h, r, l.Origins)
	// "request failed" and "rate limit" are what clients look for: with the
	// former they keep their session, by the latter they name the reason.
	return l.Hosted().Refuse(w, r, answer.Error{
		Status: http.StatusTooManyRequests, Code: "RATE_LIMITED",
		Message:    "Request failed: rate limit exceeded, please try again later",
		RetryAfter: time.Duration(reset) * time.Second,
	})
}

var errResting = errors.New("counters failed a moment ago")

func (l *RateLimit) count(w http.ResponseWriter, r *http.Request) (limiter.Context, error) {
	if time.Now().UnixNano() < l.restUntil.Load() {
		return limiter.Context{}, errResting
	}
	ready, err := l.services.Get(r.Context())
	if err != nil {
		return limiter.Context{}, err
	}
	key := l.prefix + l.key(w, r, ready.auth, ready.store)
	ctx, cancel := context.WithTimeout(r.Context(), storeWait)
	defer cancel()
	return ready.store.Get(ctx, key, l.rate)
}

// storeFailed lets the counters rest and speaks of it now and then.
func (l *RateLimit) storeFailed(err error) {
	l.failed()
	if errors.Is(err, errResting) {
		return
	}
	now := time.Now()
	l.restUntil.Store(now.Add(storeRest).UnixNano())
	if last := l.silent.Load(); now.UnixNano() >= last && l.silent.CompareAndSwap(last, now.Add(storeSilence).UnixNano()) {
		l.Log.Error("counting requests failed: they pass unlimited", zap.Error(err))
	}
}

// key names the counter of the request. Whatever is not verified is bounded
// in length and holds no secret.
func (l *RateLimit) key(w http.ResponseWriter, r *http.Request, auth *authcore.Service, store limiter.Store) string {
	switch l.Key {
	case "user":
		if id, ok := verifiedUser(w, r, auth); ok {
			return "u:" + id
		}
	case "api_key":
		if id, ok := verifiedKey(r, auth); ok {
			return "k:" + id
		}
	case "header":
		if values := r.Header.Values(l.Header); len(values) > 0 && values[0] != "" {
			sum := sha256.Sum256([]byte(values[0]))
			return "h:" + base64.RawURLEncoding.EncodeToString(sum[:16])
		}
	}
	return "ip:" + request.NetworkIn(store, request.ClientIP(r))
}

// verifiedUser is the user a later mana_auth will find, out of the same
// caches.
func verifiedUser(w http.ResponseWriter, r *http.Request, auth *authcore.Service) (id string, ok bool) {
	ctx, cancel := context.WithTimeout(r.Context(), identifyWait)
	defer cancel()
	token, isToken := request.Bearer(r.Header)
	if secret, isKey := request.APIKey(token, r.Header); isKey {
		key, err := auth.AuthenticateKey(ctx, secret, request.ClientIP(r))
		if err != nil {
			return "", false
		}
		return key.UserID(), true
	}
	if isToken {
		claims, err := auth.Verify(ctx, token)
		return claims.Subject, err == nil
	}
	carried := request.Cookies(r)
	if len(carried) == 0 {
		return "", false
	}
	session, err := auth.BrowserSession(ctx, carried)
	if err != nil {
		return "", false
	}
	site.RenewCookie(w, auth, session)
	return session.UserID(), true
}

// verifiedKey is the API key that a later mana_auth will find, or that an
// earlier one has found.
func verifiedKey(r *http.Request, auth *authcore.Service) (id string, ok bool) {
	if who := request.Caller(r.Context()); who.KeyID != "" {
		return who.KeyID, true
	}
	ctx, cancel := context.WithTimeout(r.Context(), identifyWait)
	defer cancel()
	token, _ := request.Bearer(r.Header)
	secret, isKey := request.APIKey(token, r.Header)
	if !isKey {
		return "", false
	}
	key, err := auth.AuthenticateKey(ctx, secret, request.ClientIP(r))
	if err != nil {
		return "", false
	}
	return key.ID(), true
}

// Interface guards
var (
	_ caddy.Provisioner           = (*RateLimit)(nil)
	_ caddy.Validator             = (*RateLimit)(nil)
	_ caddyhttp.MiddlewareHandler = (*RateLimit)(nil)
)
