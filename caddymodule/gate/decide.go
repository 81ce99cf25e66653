package gate

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/site"
)

// requireVerifiedEmail lets only users pass who have proven their address.
const requireVerifiedEmail = "verified_email"

// What the gate alone answers.
var (
	refuseUnverified   = answer.Error{Status: http.StatusForbidden, Code: "EMAIL_NOT_VERIFIED", Message: "Email not verified"}
	refuseExpired      = answer.Error{Status: http.StatusUnauthorized, Code: "TOKEN_EXPIRED", Message: answer.InvalidToken.Message}
	refuseNoFactor     = answer.Error{Status: http.StatusForbidden, Code: "SECOND_FACTOR_REQUIRED", Message: "Second factor required: set one up on the account page"}
	refuseRole         = answer.Error{Status: http.StatusForbidden, Code: "FORBIDDEN", Message: "Forbidden: your role does not allow this"}
	refuseOrganization = answer.Error{Status: http.StatusForbidden, Code: "ORG_REQUIRED", Message: "Forbidden: this is for members of an organization, or of a role in it"}
	refuseAddress      = answer.Error{Status: http.StatusForbidden, Code: "ADDRESS_NOT_ALLOWED", Message: "Forbidden: the API key is not for this address"}
	refuseConflict     = answer.Error{
		Status: http.StatusConflict, Code: "SESSION_CONFLICT",
		Message: "Session conflict: two accounts are signed in at once, delete the cookies and sign in again",
	}
)

// decide lets the request of an authenticated caller pass, or answers it.
func (g *Gate) decide(q *gateRequest, who request.Principal, err error, next caddyhttp.Handler) error {
	site.RenewCookie(q.w, q.auth.Service, q.session)
	switch {
	case err != nil:
		return g.unauthenticated(q, err, next)
	case q.auth.TokenLacksSecondFactor(&q.claims):
		return g.withoutSecondFactor(q, next)
	case len(g.Roles) > 0 && !slices.Contains(g.Roles, string(who.Role)):
		return g.explain(q, refuseRole)
	case who.Delegated() && !who.Scopes.HasAll(g.Scopes):
		return q.refuse(g.insufficientScope(&who))
	case !who.EmailVerified && slices.Contains(g.Require, requireVerifiedEmail):
		return g.explain(q, refuseUnverified)
	case (len(g.Orgs) > 0 || len(g.OrgRoles) > 0) && !g.inOrganization(&who):
		return g.explain(q, refuseOrganization)
	case (g.MaxAge > 0 || len(g.AMR) > 0) && !g.satisfied(&who):
		return g.stepUp(q)
	}
	return g.pass(q, who, next)
}

// unauthenticated answers a request whose caller is not known, or lets it pass
// as a guest's where the gate is optional.
func (g *Gate) unauthenticated(q *gateRequest, err error, next caddyhttp.Handler) error {
	refusal := answer.NoToken
	var tooMany *keyRateError
	switch {
	case errors.As(err, &tooMany):
		return q.refuseRate(tooMany)
	case errors.Is(err, apikey.ErrAddress):
		return q.refuse(refuseAddress)
	case errors.Is(err, request.ErrCrossSite):
		return g.explain(q, answer.CrossSite)
	case errors.Is(err, authcore.ErrSessionConflict):
		return g.explain(q, refuseConflict)
	case errors.Is(err, request.ErrNoToken):
	case errors.Is(err, token.ErrExpired):
		refusal = refuseExpired
	case errors.Is(err, token.ErrInvalid), errors.Is(err, apikey.ErrInvalid), errors.Is(err, authcore.ErrNoSession):
		refusal = answer.InvalidToken
	case errors.Is(err, authcore.ErrUnavailable), q.r.Context().Err() != nil:
		return g.explain(q, answer.Unavailable)
	default:
		g.Log.Error("authenticate a request", zap.Error(err))
		return g.explain(q, answer.Internal)
	}
	if g.Optional {
		return g.passAsGuest(q, next)
	}
	if g.Login != "never" && q.ticket == "" && request.IsNavigation(q.r) {
		q.count("login")
		return g.navigation(q).ToLogin()
	}
	return q.refuse(refusal)
}

// passAsGuest lets a request pass unnamed that came with something to be known by.
func (g *Gate) passAsGuest(q *gateRequest, next caddyhttp.Handler) error {
	dropBearer(q.r.Header)
	if q.taken {
		q.r = q.r.WithContext(&request.Auth{Context: q.r.Context(), Cookies: q.cookies})
	}
	return g.passGuest(q.of, q.w, q.r, next)
}

// withoutSecondFactor leads a user who must set a second factor up to where that
// is done, and from there back. Where guests may pass, so may they, unnamed.
func (g *Gate) withoutSecondFactor(q *gateRequest, next caddyhttp.Handler) error {
	if g.Optional {
		return g.passAsGuest(q, next)
	}
	if g.Login == "never" || q.bearer == "" || !request.IsNavigation(q.r) {
		return q.refuse(refuseNoFactor)
	}
	q.count("second_factor")
	return g.navigation(q).ToEnrollment()
}

// pass sends the request on, under the caller's name.
func (g *Gate) pass(q *gateRequest, who request.Principal, next caddyhttp.Handler) error {
	a := &requestAuth{Auth: request.Auth{Principal: who, ByCookie: q.byCookie()}, stream: request.IsUpgrade(q.r) || request.WantsEvents(q.r)}
	if before := request.AuthOf(q.r.Context()); before != nil {
		a.Cookies, a.ByCookie = before.Cookies, a.ByCookie || before.ByCookie
	}
	if q.taken {
		a.Cookies = q.cookies
	}
	ok := a.open(q.r.Context(), q.auth.Service, &q.claims)
	defer a.close(q.auth.Service)
	if !ok {
		return g.unauthenticated(q, token.ErrInvalid, next)
	}
	q.writer.Private = !q.writer.Shared
	a.setTrustedHeaders(q.r.Header)
	a.auth = q.auth
	if len(g.Headers) > 0 {
		a.setProfileHeaders(g.Headers, q.r.Header)
	}
	if len(g.named) > 0 {
		a.setNamedHeaders(g.named, q.r.Header)
	}
	if repl, ok := q.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(a.placeholder)
	}
	if g.Assertion != nil {
		if refusal := g.assert(q); refusal != nil {
			return g.explain(q, *refusal)
		}
	}
	if q.bearer != "" {
		q.r.Header["Authorization"] = []string{"Bearer " + q.bearer}
	}
	switch {
	case q.byKey:
		q.count("api_key")
	case q.ticket != "":
		q.count("ticket")
	case q.bearer != "":
		site.ForgetLoop(q.w, q.r, q.cookies)
		q.count("cookie")
	default:
		q.count("bearer")
	}
	a.writer = gateWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: q.w}, auth: a}
	return next.ServeHTTP(&a.writer, q.r.WithContext(a))
}

// passUnasked sends a request on as nobody's, also behind a gate that has found
// somebody.
func (g *Gate) passUnasked(entered *site.Entered, r *http.Request, next caddyhttp.Handler) error {
	if request.Caller(r.Context()).Kind != request.Guest {
		delete(r.Header, "Authorization") // it may be the other gate's
	}
	r, _ = behindAnotherGate(r)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(guestPlaceholder)
	}
	return entered.Pass(r, next)
}

// passGuest lets a request pass unnamed.
func (g *Gate) passGuest(site string, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if g.Login == "never" {
		a := &request.Auth{Context: r.Context(), NoLogin: true}
		if before := request.AuthOf(r.Context()); before != nil {
			a.Cookies, a.ByCookie = before.Cookies, before.ByCookie
		}
		r = r.WithContext(a)
	}
	metrics.Process.Decided(site, "guest")
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(guestPlaceholder)
	}
	return next.ServeHTTP(w, r)
}

// navigation is a page load that goes to a hosted page.
func (g *Gate) navigation(q *gateRequest) *site.Navigation {
	return &site.Navigation{W: q.w, R: q.r, Cookies: q.cookies, Origins: q.auth.Origins(), Hosted: g.Hosted()}
}

// explain refuses what a sign-in does not mend: a navigation gets a page.
func (g *Gate) explain(q *gateRequest, e answer.Error) error {
	if !request.IsNavigation(q.r) {
		return q.refuse(e)
	}
	q.count(strconv.Itoa(e.Status))
	notice := pages.Notice{Code: e.Code, Wait: e.RetryAfter}
	if e.Code == refuseUnverified.Code {
		notice.Resend = g.BaseURL.String() + "/resend-verification"
	}
	return g.Hosted().Page(q.w, q.r, e.Status, e.RetryAfter, notice)
}

// count says what became of the request.
func (q *gateRequest) count(outcome string) { metrics.Process.Decided(q.of, outcome) }

func (q *gateRequest) refuse(e answer.Error) error {
	q.count(strconv.Itoa(e.Status))
	answer.AllowReading(q.w.Header(), q.r, q.auth.Origins())
	return e.Write(q.w, q.r)
}
