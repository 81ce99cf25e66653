package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
)

func init() {
	caddy.RegisterModule(new(Gate))
}

// startWait is how long a request waits for the app to have started.
const startWait = 4 * time.Second

// Gate lets only signed-in users pass and tells the upstream who they are.
//
// It knows a client by its access token (`Authorization: Bearer …`), else by
// the single sign-on cookie. A bearer token that does not verify is refused
// even if a good cookie comes with it. Whoever passes reaches the upstream
// with the headers `X-Mana-User-Id`, `X-Mana-Email`, `X-Mana-Role`,
// `X-Mana-Session-Id` and, where there is one, `X-Mana-Org-Id`, and with a
// bearer token that verifies, also if he came with a cookie. Values are
// visible ASCII; other bytes and `%` are percent-encoded. Whatever the client
// sent under these names, or a name an upstream may confuse with them, is
// removed, and so are the edge's own cookies. Connections are upgraded to
// WebSockets and to nothing else: another protocol could carry requests that no
// gate has seen.
//
// The same is told by the placeholders `{http.auth.user.id}`,
// `{http.auth.user.email}`, `{http.auth.user.role}`,
// `{http.auth.user.session}` and `{http.auth.user.org}`, which are empty for
// guests.
//
// CORS preflights carry no credentials by design of the browsers. The gate
// answers them: pages of a trusted origin may send what they ask for, others
// get 401. Where it is optional they reach the app as any guest does.
//
// When the session is revoked, open requests end: WebSockets and server-sent
// events at once, others after two seconds.
type Gate struct {
	// Let guests pass too, unnamed: with no identity header and without a
	// bearer token that did not verify.
	Optional bool `json:"optional,omitempty"`

	// The roles that may pass, any of them: `user`, `admin`, `service`.
	// Empty lets every role pass. Everyone else gets 403.
	Roles []string `json:"roles,omitempty"`

	// The scopes an API key needs, all of them. Access tokens and cookies
	// stand for the user himself and need none.
	Scopes []string `json:"scopes,omitempty"`

	// What a page load without a session gets: `redirect` (the default)
	// sends it to the sign-in page, `never` answers 401 as everything else.
	Login string `json:"login,omitempty"`

	// What is wrong with the directive in a Caddyfile. With any, the config is refused.
	Faults Faults `json:"faults,omitempty"`

	auth   func(context.Context) (*authcore.Service, error)
	base   *url.URL
	ready  atomic.Pointer[gateService]
	logger *zap.Logger
}

// What passes is counted without looking the counter up.
var (
	passedByBearer = collectors.decisions.WithLabelValues("bearer")
	passedByCookie = collectors.decisions.WithLabelValues("cookie")
)

// gateService is the running service with what the gate derives from it once.
type gateService struct {
	*authcore.Service
	cookies cookieNames
}

// CaddyModule returns the Caddy module information.
func (*Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mana_auth",
		New: func() caddy.Module { return new(Gate) },
	}
}

// Provision finds the app. It connects to nothing.
func (g *Gate) Provision(ctx caddy.Context) error {
	app, err := provisionSite(ctx, g)
	if err != nil {
		return err
	}
	g.base = app.Settings().BaseURL
	g.auth = func(ctx context.Context) (*authcore.Service, error) {
		runtime, err := app.Runtime(ctx)
		if err != nil {
			return nil, err
		}
		return runtime.Auth, nil
	}
	g.logger = ctx.Logger()
	return nil
}

// Validate reports every fault of the configuration.
func (g *Gate) Validate() error {
	if len(g.Faults) > 0 {
		return g.Faults.err()
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("mana_auth: "+format, args...))
	}
	for _, role := range g.Roles {
		switch role {
		case "user", "admin", "service":
		default:
			fault("role: %q is none of user, admin, service", role)
		}
	}
	if g.Optional && len(g.Roles) > 0 {
		fault("role: has no hold on the guests that optional lets pass; drop one of them")
	}
	for _, scope := range g.Scopes {
		if scope == "" || headerSafe(scope) != scope {
			fault("scope: %q is not a word of visible ASCII", scope)
		}
	}
	switch g.Login {
	case "", "redirect", "never":
	default:
		fault("login: %q is neither redirect nor never", g.Login)
	}
	return errors.Join(faults...)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	stripIdentity(r)
	before := passageOf(r.Context())
	if before != nil && before.userID != "" {
		before.who = identity{} // the last gate decides, for the placeholders too
		before = &passage{Context: r.Context(), cookies: before.cookies}
		r = r.WithContext(before)
	}
	h := w.Header()
	h["Vary"] = append(h["Vary"], "Authorization, Cookie")
	if g.Optional && len(r.Header["Cookie"]) == 0 && len(r.Header["Authorization"]) == 0 {
		return passGuest(w, r, next)
	}

	auth, err := g.service(r.Context())
	if err != nil {
		g.logger.Warn("the mana app is not ready", zap.Error(err))
		collectors.decided(strconv.Itoa(refuseUnavailable.status))
		return refuseUnavailable.write(w, r)
	}
	if isPreflight(r) && !g.Optional {
		collectors.decided("preflight")
		return answerPreflight(w, r, auth.Origins())
	}
	v := visit{w: w, r: r, auth: auth, cookies: r.Header["Cookie"]}
	if carried := before.clientCookies(); carried != nil {
		v.cookies = carried
	}
	v.taken = auth.cookies.take(r.Header)
	claims, fresh, err := g.identify(v)
	if err != nil {
		return g.unidentified(v, next, err)
	}
	if len(g.Roles) > 0 && !slices.Contains(g.Roles, string(claims.Role)) {
		return v.refuse(refuseRole)
	}

	p := &passage{cookies: before.clientCookies(), stream: isStream(r)}
	if v.taken {
		p.cookies = v.cookies
	}
	ok := p.open(r.Context(), auth.Service, &claims)
	defer p.close(auth.Service)
	if !ok {
		return g.unidentified(v, next, authcore.ErrInvalidToken)
	}
	p.who.seal(r.Header)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(p.who.placeholder)
	}
	if fresh != "" {
		r.Header["Authorization"] = []string{"Bearer " + fresh}
		passedByCookie.Inc()
	} else {
		passedByBearer.Inc()
	}
	return next.ServeHTTP(w, r.WithContext(p))
}

// visit is one request at the gate. cookies are its Cookie headers as the
// client sent them; taken tells that some of them do not go on.
type visit struct {
	w       http.ResponseWriter
	r       *http.Request
	auth    *gateService
	cookies []string
	taken   bool
}

// service waits for the app to start, the first time only.
func (g *Gate) service(ctx context.Context) (*gateService, error) {
	if ready := g.ready.Load(); ready != nil {
		return ready, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	auth, err := g.auth(ctx)
	if err != nil {
		return nil, err
	}
	ready := &gateService{Service: auth, cookies: newCookieNames(auth.Cookies())}
	g.ready.Store(ready)
	return ready, nil
}

// identify finds out who the request acts for. fresh is the access token to
// send upstream where the client brought a cookie. It fails with errNoToken,
// errCrossSite or an error of authcore.
func (g *Gate) identify(v visit) (claims authcore.Claims, fresh string, err error) {
	ctx := v.r.Context()
	if token, ok := bearerToken(v.r.Header); ok {
		claims, err = v.auth.Verify(ctx, token)
		return claims, "", err
	}
	if len(v.r.Header["Authorization"]) > 1 || len(v.cookies) == 0 {
		return claims, "", errNoToken
	}
	session, err := v.auth.BrowserSession(ctx, v.cookies)
	if errors.Is(err, authcore.ErrNoCookie) {
		return claims, "", errNoToken
	}
	if err != nil {
		return claims, "", err
	}
	renewCookie(v.w, v.auth.Service, session)
	if err := checkSameSite(v.r, v.auth.Origins()); err != nil {
		return claims, "", err
	}
	if fresh, claims, err = v.auth.Bearer(ctx, session); err != nil {
		return claims, "", err
	}
	forgetLoop(v.w, v.r, v.cookies)
	return claims, fresh, nil
}

// renewCookie sends the SSO cookie again where the session's end has moved,
// once a response: the rate limit may have seen the same session before.
func renewCookie(w http.ResponseWriter, auth *authcore.Service, b authcore.BrowserSession) {
	if !b.Renewed {
		return
	}
	s := b.Session()
	cookie := auth.Cookies().Set(b.Token, s.Persistent, time.Until(s.ExpiresAt).Round(time.Second))
	if !slices.Contains(w.Header()["Set-Cookie"], cookie) {
		w.Header().Add("Set-Cookie", cookie)
	}
}

// unidentified answers a request whose sender identify did not find, or lets
// it pass as a guest's where the gate is optional.
func (g *Gate) unidentified(v visit, next caddyhttp.Handler, err error) error {
	answer := refuseNoToken
	switch {
	case errors.Is(err, errCrossSite):
		return v.refuse(refuseCrossSite)
	case errors.Is(err, errNoToken):
	case errors.Is(err, authcore.ErrInvalidToken), errors.Is(err, authcore.ErrNoSession):
		answer = refuseInvalidToken
	case errors.Is(err, authcore.ErrUnavailable), v.r.Context().Err() != nil:
		return v.refuse(refuseUnavailable)
	default:
		g.logger.Error("identify a request", zap.Error(err))
		return v.refuse(refuseInternal)
	}
	if g.Optional {
		dropBearer(v.r.Header)
		if v.taken {
			v.r = v.r.WithContext(&passage{Context: v.r.Context(), cookies: v.cookies})
		}
		return passGuest(v.w, v.r, next)
	}
	if g.Login != "never" && isNavigation(v.r) {
		collectors.decided("login")
		return redirectToLogin(v, g.base)
	}
	return v.refuse(answer)
}

// passGuest lets a request pass unnamed.
func passGuest(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	collectors.decided("guest")
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(guestPlaceholder)
	}
	return next.ServeHTTP(w, r)
}

func (v visit) refuse(answer refusal) error {
	collectors.decided(strconv.Itoa(answer.status))
	allowReading(v.w, v.r, v.auth.Origins())
	return answer.write(v.w, v.r)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddy.Validator             = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
)
