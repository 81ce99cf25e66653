package site

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/authcore/cookie"
	"mana.how/edge/authcore/origin"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/guard"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// Scope says which requests a directive is for. The directive meets the others
// too: it stands as a guard in front of all that its site passes on, takes out
// what must not reach an app, and refuses what must not at all.
type Scope struct {
	// The requests that the directive is for; without any matcher, all.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	matchers caddyhttp.MatcherSets
	site     *app.ServerSites

	// What the app says, and the log of the directive. They are no part of a
	// config.
	BaseURL *url.URL    `json:"-"`
	Brand   pages.Brand `json:"-"`
	Sells   bool        `json:"-"` // credits can be bought
	// Prices are those of the app, nil until they are known.
	Prices  *creditcore.Prices `json:"-"`
	Origins origin.List        `json:"-"`
	Log     *zap.Logger        `json:"-"`
	// Lax lets paths pass that are spelt in more than one way.
	Lax bool `json:"-"`
	// Names are those of the headers by which the directive tells the app who
	// somebody is, beside the identity headers, as [guard.FoldName] writes them.
	Names []string `json:"-"`
}

// ProvisionScope loads the matchers, and takes down what the app has found out about
// the server's sites.
func (s *Scope) ProvisionScope(ctx caddy.Context, app *app.App) error {
	s.site = app.SitesOf(ctx)
	settings := app.Settings()
	s.BaseURL, s.Origins, s.Log = settings.BaseURL, settings.Origins, ctx.Logger()
	s.Brand, s.Sells = settings.Brand, settings.Stripe.IsSet()
	if s.MatcherSetsRaw == nil {
		return nil
	}
	sets, err := ctx.LoadModule(s, "MatcherSetsRaw")
	if err != nil {
		return err
	}
	return s.matchers.FromInterface(sets)
}

// KnowPrices tells the directive what the prices of the app are, before it is validated.
func (s *Scope) KnowPrices(p creditcore.Prices) { s.Prices = &p }

// Hosted is where the hosted pages are.
func (s *Scope) Hosted() answer.Hosted { return answer.Hosted{BaseURL: s.BaseURL, Brand: s.Brand} }

// guardKey is the variable of a request that holds its Writer.
const guardKey = "mana.guard"

// Enter is how every directive begins. What it returns in place of w and r has
// been looked at; an error is answered by Refuse.
func (s *Scope) Enter(w http.ResponseWriter, r *http.Request) (Entered, *http.Request, error) {
	if err := guard.Check(r); err != nil {
		return Entered{}, r, err
	}
	if err := guard.CheckPath(r, s.strict); err != nil {
		return Entered{}, r, err
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	early := guard.Early(r, trusted)
	writer, _ := caddyhttp.GetVar(r.Context(), guardKey).(*Writer)
	first := writer == nil || !writer.under(w)
	if first {
		writer = newAppWriter(w)
		origin := r.Header["Origin"]
		writer.expose = len(origin) == 1 && s.Origins.Trusts(origin[0])
		caddyhttp.SetVar(r.Context(), guardKey, writer)
		w = writer
		if request.Caller(r.Context()).Kind == request.Guest {
			s.StripIdentity(r)
		}
		if !trusted {
			guard.DropAddresses(r.Header)
		}
	}
	writer.passing = false
	return Entered{w, writer, s, early, first}, r, nil
}

// StripIdentity takes out of a request what no client may say of who it is, also
// under the names by which only some of the site's routes tell it.
func (s *Scope) StripIdentity(r *http.Request) {
	StripIdentity(r, s.site.IdentityNames(r.Host, s.Names)...)
}

// IdentityNames are the names of more headers, beside the identity headers, by
// which the directive tells the app who somebody is.
func (s *Scope) IdentityNames() []string { return s.Names }

// SiteName is the site of the request by the host that its config writes, for metrics.
func (s *Scope) SiteName(r *http.Request) string { return s.site.Name(r.Host) }

// Entered is a request that a directive has let in.
type Entered struct {
	W      http.ResponseWriter // for the directive and all behind it
	Writer *Writer
	scope  *Scope
	Early  bool // it came as early data
	first  bool // no directive has let it in before
}

// Before is what stands behind the directive. Where the app gives no answer, the
// directive that the request met first gives one: all others have their say
// before.
func (g *Entered) Before(next caddyhttp.Handler) caddyhttp.Handler {
	if !g.first {
		return &AppHandler{Writer: g.Writer, Next: next}
	}
	g.Writer.behind = AppHandler{g.Writer, g.scope, next}
	return &g.Writer.behind
}

// Concerns reports whether the directive is for the request.
func (s *Scope) Concerns(r *http.Request) (bool, error) { return s.matchers.AnyMatchWithError(r) }

// Conditional reports whether a matcher decides which requests the directive is
// for.
func (s *Scope) Conditional() bool { return len(s.matchers) > 0 }

// strict reports whether a matcher decides who may ask for the path.
func (s *Scope) strict(r *http.Request) bool {
	if s.Lax || s.site.Has(r.Host, func(site app.SiteFacts) bool { return site.Lax }) {
		return false
	}
	return s.Conditional() || s.site.Has(r.Host, func(site app.SiteFacts) bool { return site.Conditional })
}

// Pass sends a request on that the directive has no more to do with: without
// the edge's cookies, unless a gate has found a user in them.
func (g *Entered) Pass(r *http.Request, next caddyhttp.Handler) error {
	if request.Caller(r.Context()).Kind == request.Guest {
		if cookies := request.Cookies(r); ownCookies.Take(r.Header) {
			r = r.WithContext(&request.Auth{Context: r.Context(), Cookies: cookies})
		}
	}
	return next.ServeHTTP(g.W, r)
}

// ownCookies are the cookies of every edge, under their plain names.
var ownCookies = append(NewCookieNames(cookie.Codec{}), "mana.dont_remember")

// What the guard answers.
var (
	refuseMethod = answer.Error{Status: http.StatusMethodNotAllowed, Code: "METHOD_NOT_ALLOWED", Message: "Method not allowed"}
	refuseTarget = answer.Error{Status: http.StatusBadRequest, Code: "BAD_REQUEST", Message: "Invalid request target"}
	refuseEarly  = answer.Error{Status: http.StatusTooEarly, Code: "TOO_EARLY", Message: "Too early: send the request again once the connection is established"}
)

// Refuse answers a request that the guard keeps from the app. On HTTP/1
// the connection ends: whoever stands before the edge may not agree with it
// where this request ended.
func Refuse(w http.ResponseWriter, r *http.Request, err error) error {
	switch {
	case errors.Is(err, guard.ErrTooEarly):
		return refuseEarly.Write(w, r)
	case !errors.Is(err, guard.ErrMethod):
		return refuseTarget.Write(w, r)
	}
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Allow", guard.Allowed)
	return refuseMethod.Write(w, r)
}
