package gate

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/guard"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/site"
	"mana.how/edge/caddymodule/syntax"
	"mana.how/edge/internal/tracing"
)

func init() {
	caddy.RegisterModule(new(Gate))
	site.RegisterDirective("mana_auth", parseGate)
}

// Gate lets only signed-in users pass and tells the upstream who they are.
//
// It knows a client by its access token (`Authorization: Bearer …`) or API key
// (`Authorization: Bearer sk_live_…`, or `X-Api-Key`), else by a ticket in the query
// (`?ticket=mt_…`, of one GET), else by the single
// sign-on cookie. A bearer token, key or ticket that does not verify is refused even if
// a good cookie comes with it. A key is refused with 403 from an address that it
// is not for, and with 429 where its own rate is exceeded. Whoever passes reaches the upstream
// with the headers `X-Mana-User-Id`, `X-Mana-Email`, `X-Mana-Role`,
// `X-Mana-Email-Verified`, `X-Mana-Session-Id`, `X-Mana-Auth-Time` (when they last showed who they are, in Unix
// seconds), `X-Mana-Amr` (how, by RFC 8176, joined by commas) and, in an organisation, `X-Mana-Org-Id` and `X-Mana-Org-Role`, and with a
// bearer token that verifies, also if they came with a cookie or key. A key has no session: in its place `X-Mana-Key-Id` and
// `X-Mana-Scopes` (joined by commas) tell which it is and what it is for; with the token of an
// OpenID client, `X-Mana-Client-Id` and `X-Mana-Scopes` stand beside the session. Values are
// visible ASCII; other bytes and `%` are percent-encoded. Whatever the client
// sent under these names, or a name an upstream may confuse with them, is
// removed, and so are the edge's own cookies. Connections are upgraded to
// WebSockets and to nothing else: another protocol could carry requests that no
// gate has seen.
//
// The same is told by the placeholders `{http.auth.user.id}`,
// `{http.auth.user.email}`, `{http.auth.user.email_verified}`, `{http.auth.user.role}`,
// `{http.auth.user.session}`, `{http.auth.user.auth_time}`, `{http.auth.user.amr}`, `{http.auth.user.org}`, `{http.auth.user.org_role}`,
// `{http.auth.user.key}`, `{http.auth.user.scopes}` and `{http.auth.user.client}`, which are empty for guests, and by
// `{http.auth.user.name}` and `{http.auth.user.picture}`, which may have to be read.
//
// CORS preflights carry no credentials by design of the browsers. The gate
// answers them: pages of a trusted origin may send what they ask for, others
// get 401. Where it is optional they reach the app as any guest does.
//
// When the session is revoked, open requests end: WebSockets and server-sent
// events at once, others after two seconds.
type Gate struct {
	site.Scope

	// Let guests pass too, unnamed: with no identity header and without a
	// bearer token that did not verify.
	Optional bool `json:"optional,omitempty"`

	// Let every request pass, unnamed, and ask nobody: the guard alone.
	Off bool `json:"off,omitempty"`

	// How strict paths are where a matcher decides. `lax` lets `;` and backslash
	// pass, for apps that need them in paths and that read no path otherwise than
	// the matchers of the site do.
	Paths string `json:"paths,omitempty"`

	// What shared caches may do with the responses to users. `shared` leaves it
	// to the app; the responses are everybody's then, and no cookie of the edge
	// is set on them. Otherwise they are private.
	Cache string `json:"cache,omitempty"`

	// The roles that may pass, any of them: `user`, `admin`, `service`.
	// Empty lets every role pass. Everyone else gets 403.
	Roles []string `json:"roles,omitempty"`

	// The scopes that an API key, or the access token of an OpenID client, needs, all of
	// them; one without gets 403. A user's own tokens and cookies need none.
	Scopes []string `json:"scopes,omitempty"`

	// The audiences of which access tokens of OpenID clients pass too: those that speak
	// for themselves (RFC 9068) and name one of them. They stand for their user as far as
	// their scopes go.
	Audiences []string `json:"audiences,omitempty"`

	// What a user must have beside a session. `verified_email`: an address that
	// has been proven; everyone else gets 403, a page load one that says so.
	Require []string `json:"require,omitempty"`

	// How long ago a user may have shown who they are, as a duration. Everyone else
	// is asked to do so again: a page load by a page, others by a 401 (RFC 9470).
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How a user must have shown who they are, all of it: `pwd`, `email`, `fed`,
	// `otp`, `hwk`, `swk` or, for more than one factor, `mfa` (RFC 8176). Everyone
	// else is asked to, as with max_age.
	AMR []string `json:"amr,omitempty"`

	// The organisations in which a user may pass, by id, any of them, or `any`:
	// that which is the active one of their session counts. Everyone else gets 403,
	// a page load one that says so.
	Orgs []string `json:"orgs,omitempty"`

	// What a user must be in the active organisation of their session, any of
	// them: `owner`, `admin`, `member`. Whoever is in none does not pass.
	OrgRoles []string `json:"org_roles,omitempty"`

	// More that the app is told of a user: `name` in `X-Mana-Name`, `picture` in
	// `X-Mana-Picture`. They are read once and remembered; a change shows within a
	// second, or a minute where the database could not tell.
	Headers []string `json:"headers,omitempty"`

	// Headers by which an app knows its users that has names of its own for them,
	// as `X-WEBAUTH-USER`. They are set for every user who passes. Whatever a client
	// sends under these names is removed on the whole site, in every spelling.
	Header []NamedHeader `json:"header,omitempty"`

	// Tell the app of each request by a signed assertion in `X-Mana-Assertion`, too,
	// who it acts for.
	Assertion *Assertion `json:"assertion,omitempty"`

	// What a page load without a session gets: `redirect` (the default)
	// sends it to the sign-in page, `never` answers 401 as everything else.
	Login string `json:"login,omitempty"`

	// What is wrong with the directive in a Caddyfile. With any, the config is refused.
	Faults syntax.Faults `json:"faults,omitempty"`

	service *app.Lookup[*gateService]
	named   []namedHeader // of Header
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
	source, err := app.ProvisionSite(ctx, g)
	if err != nil {
		return err
	}
	if err := g.ProvisionScope(ctx, source); err != nil {
		return err
	}
	g.Bind(source)
	return nil
}

// TakesGuests reports whether guests pass.
func (g *Gate) TakesGuests() bool { return g.Optional || g.Off }

// Bind lets the gate work with what the app has, once it has started. Provision
// does it.
func (g *Gate) Bind(source app.Source) {
	g.Lax = g.Paths == "lax"
	g.named, g.Names = namedHeaders(g.Header)
	g.service = app.NewLookup(source, 0, g.newGateService)
}

// Validate reports every fault of the configuration.
func (g *Gate) Validate() error {
	if len(g.Faults) > 0 {
		return g.Faults.Err()
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("mana_auth: "+format, args...))
	}
	for _, role := range g.Roles {
		if !principal.Role(role).Valid() {
			fault("role: %q is none of user, support, admin, service", role)
		}
	}
	if g.Optional && len(g.Roles) > 0 {
		fault("role: has no hold on the guests that optional lets pass; drop one of them")
	}
	for _, scope := range g.Scopes {
		if !principal.ValidScope(scope) {
			fault("scope: %q is not 1 to %d letters, digits or signs of :._-/*", scope, principal.MaxScope)
		}
	}
	if g.Optional && len(g.Scopes) > 0 {
		fault("scope: has no hold on the guests that optional lets pass; drop one of them")
	}
	if g.Off && (g.Optional || len(g.Roles) > 0 || len(g.Scopes) > 0 || len(g.Audiences) > 0 || g.Login != "" || g.Cache != "") {
		fault("off: asks nobody who they are, so optional, role, scope, audience, login and cache have no hold")
	}
	switch g.Paths {
	case "", "lax":
	default:
		fault("paths: %q is not lax", g.Paths)
	}
	switch g.Cache {
	case "", "shared":
	default:
		fault("cache: %q is not shared", g.Cache)
	}
	for _, what := range g.Require {
		if what != requireVerifiedEmail {
			fault("require: %q is not verified_email", what)
		}
	}
	if g.MaxAge < 0 {
		fault("max_age: %v is less than nothing", time.Duration(g.MaxAge))
	}
	for _, method := range g.AMR {
		if !principal.Method(method).Valid() {
			fault("amr: %q is none of pwd, email, fed, otp, hwk, swk, mfa", method)
		}
	}
	if (g.Optional || g.Off) && (g.MaxAge != 0 || len(g.AMR) > 0) {
		fault("max_age, amr: have no hold on the guests that pass; drop them")
	}
	if g.Optional && len(g.Require) > 0 {
		fault("require: has no hold on the guests that optional lets pass; drop one of them")
	}
	for _, f := range g.organizationFaults() {
		fault("%w", f)
	}
	for _, f := range g.headerFaults() {
		fault("%w", f)
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
	entered, r, err := g.Enter(w, r)
	if err != nil {
		return site.Refuse(w, r, err)
	}
	w, next = entered.W, entered.Before(next)
	if ours, err := g.Concerns(r); err != nil {
		return err
	} else if !ours {
		return entered.Pass(r, next)
	}
	g.StripIdentity(r)
	if entered.Early && !guard.IsSafe(r) {
		return site.Refuse(w, r, guard.ErrTooEarly)
	}
	r, ticket := takeTicket(r)
	if g.Off {
		return g.passUnasked(&entered, r, next)
	}
	if entered.Writer.Shared = g.Cache == "shared"; !entered.Writer.Shared {
		entered.Writer.ByCaller()
	}
	r, cookies := behindAnotherGate(r)
	if g.Optional && ticket == "" && len(r.Header["Cookie"]) == 0 && len(r.Header["Authorization"]) == 0 && len(r.Header[request.APIKeyHeader]) == 0 {
		return g.passGuest(g.SiteName(r), w, r, next)
	}
	auth, err := g.service.Get(r.Context())
	if err != nil {
		g.Log.Warn("the mana app is not ready", zap.Error(err))
		metrics.Process.Decided(g.SiteName(r), strconv.Itoa(answer.Unavailable.Status))
		return g.Hosted().Refuse(w, r, answer.Unavailable)
	}
	if request.IsPreflight(r) && !g.Optional {
		metrics.Process.Decided(g.SiteName(r), "preflight")
		return answer.Preflight(w, r, auth.Origins())
	}
	q := gateRequest{writer: entered.Writer, w: w, r: r, auth: auth, log: g.Log, cookies: cookies, ticket: ticket, of: g.SiteName(r)}
	q.taken = auth.cookies.Take(r.Header)
	ctx, span := tracing.Start(r.Context(), "mana_auth")
	who, err := q.authenticate(ctx, g.Audiences)
	span.Set("user.id", who.UserID)
	span.End(err)
	return g.decide(&q, who, err, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddy.Validator             = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
)
