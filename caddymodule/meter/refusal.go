package meter

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/meter/upstream"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/guest"
)

// errClientGone means that nobody waits for the answer any more.
var errClientGone = errors.New("the client is gone")

var (
	refuseKeyReused = answer.Error{
		Status: http.StatusUnprocessableEntity, Code: "IDEMPOTENCY_KEY_REUSED",
		Message: "The idempotency key was used for another request",
	}
	refuseKeyRefunded = answer.Error{
		Status: http.StatusConflict, Code: "IDEMPOTENCY_KEY_REFUNDED",
		Message: "The charge of the idempotency key was refunded",
	}
	refusePriceUnknown = answer.Error{
		Status: http.StatusServiceUnavailable, Code: "PRICE_UNAVAILABLE",
		Message: "What this costs is not known at the moment",
	}
	refuseNoOrganization = answer.Error{
		Status: http.StatusForbidden, Code: "ORG_REQUIRED",
		Message: "Forbidden: an organization pays for this, and you act in none",
	}
	refuseKeySpent = answer.Error{
		Status: http.StatusConflict, Code: "IDEMPOTENCY_KEY_SPENT",
		Message: "The idempotency key is spent: its request was repeated too often, or too late",
	}
)

// refuse answers in place of the upstream. Other meters on the request's way
// take back what they charged.
func (v *meteredRequest) refuse(err error) error {
	v.bill.refused = true
	var handler caddyhttp.HandlerError
	if errors.As(err, &handler) {
		v.count(metrics.OutcomeRefused)
		return err
	}
	if errors.Is(err, errClientGone) || v.r.Context().Err() != nil {
		v.count(metrics.OutcomeFree)
		v.w.WriteHeader(upstream.StatusClientGone)
		return nil
	}
	refusal, outcome := v.refusal(err)
	if outcome == metrics.OutcomeUnavailable && !errors.Is(err, errPriceUnknown) { // of that, pricesNow tells
		v.Log.Warn("the ledger cannot be asked: a request is refused", zap.Error(err), zap.String("user", v.userID))
	}
	var short *creditcore.InsufficientError
	if errors.As(err, &short) {
		if !v.byGuest() {
			v.bill.paidBy(short.Organization)
		}
		if !short.OfKey && !short.OfAllotment {
			v.bill.see(short.Available)
		}
	}
	v.count(outcome)
	answer.AllowReading(v.w.Header(), v.r, v.Origins)
	if refusal.Status != http.StatusPaymentRequired {
		return v.Hosted().Refuse(v.w, v.r, refusal)
	}
	v.bill.write(v.w.Header())
	switch {
	case !request.IsNavigation(v.r):
	case v.byGuest():
		if a := request.AuthOf(v.r.Context()); a == nil || !a.NoLogin {
			return v.toLogin()
		}
	default:
		return v.Hosted().Page(v.w, v.r, refusal.Status, 0, v.shortfall(short))
	}
	return refusal.Write(v.w, v.r)
}

// shortfall is what a page tells of what an account lacks.
func (m *Meter) shortfall(short *creditcore.InsufficientError) pages.Shortfall {
	view := pages.Shortfall{
		Required: short.Required.String(), Available: short.Available.String(), Missing: (short.Required - short.Available).String(),
		Sells: m.Sells, Buy: m.BaseURL.String() + "/account/credits",
	}
	if short.Debt > 0 {
		view.Debt = short.Debt.String()
	}
	switch {
	case short.Organization != "":
		view.Organization, view.Allotment = true, short.OfAllotment
		view.Buy = m.BaseURL.String() + "/account/organizations/" + url.PathEscape(short.Organization)
	case m.Sells:
		view.Buy += "/buy"
	}
	return view
}

func (v *meteredRequest) count(outcome string) {
	metrics.MeterRequests.WithLabelValues(v.label(), outcome).Inc()
	v.bill.placeholders(v.r, outcome)
}

// refusal is the one table from what is wrong to the answer and the outcome.
// All that is no verdict of the ledger is OutcomeUnavailable.
func (v *meteredRequest) refusal(err error) (refusal answer.Error, outcome string) {
	var key keyError
	var short *creditcore.InsufficientError
	switch {
	case errors.Is(err, errPriceUnknown):
		return refusePriceUnknown, metrics.OutcomeUnavailable
	case errors.Is(err, request.ErrNoToken):
		return answer.NoToken, metrics.OutcomeGuest
	case errors.Is(err, errNoOrganization), v.organization != "" && noMember(err):
		return refuseNoOrganization, metrics.OutcomeRefused
	case errors.Is(err, creditcore.ErrAccountNotFound): // gone since the gate saw the token, without ever having had credits
		return answer.InvalidToken, metrics.OutcomeGuest
	case errors.As(err, &key):
		return answer.Error{Status: http.StatusBadRequest, Code: "VALIDATION_ERROR", Message: key.Error()}, metrics.OutcomeRefused
	case errors.Is(err, creditcore.ErrKeyReused):
		return refuseKeyReused, metrics.OutcomeRefused
	case errors.Is(err, creditcore.ErrKeyRefunded):
		return refuseKeyRefunded, metrics.OutcomeRefused
	case errors.Is(err, creditcore.ErrKeySpent):
		return refuseKeySpent, metrics.OutcomeRefused
	case errors.As(err, &short):
		return v.insufficient(err, short), metrics.OutcomeInsufficient
	case errors.Is(err, creditcore.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, app.ErrNotReady):
		return answer.Unavailable, metrics.OutcomeUnavailable
	}
	return answer.Internal, metrics.OutcomeUnavailable
}

// shortfall is what an account lacks, or the budget of an API key, in the words of
// the shared client code. CreditType is user, organization or key; Limit is
// allotment where it is what a member may spend of the organisation's.
type shortfall struct {
	Required   creditcore.Amount `json:"requiredCredits"`
	Available  creditcore.Amount `json:"availableCredits"`
	CreditType string            `json:"creditType"`
	Debt       creditcore.Amount `json:"debt,omitempty"` // owed beside that
	Limit      string            `json:"limit,omitempty"`
	Operation  string            `json:"operation,omitempty"`
}

// insufficient is the contract's refusal with the members of RFC 9457 beside
// it. Its media type stays the contract's, which old clients read. short is what err
// says is lacking.
func (m *Meter) insufficient(err error, short *creditcore.InsufficientError) answer.Error {
	var spent *guest.SpentError
	if errors.As(err, &spent) {
		return m.spent(spent)
	}
	return answer.Error{
		Status: http.StatusPaymentRequired, Code: "INSUFFICIENT_CREDITS", Message: "Insufficient credits",
		Details: shortfall{short.Required, short.Available, short.CreditType(), short.Debt, short.Limit(), m.Operation},
		Problem: &answer.Problem{
			Type: "about:blank", Title: http.StatusText(http.StatusPaymentRequired), Status: http.StatusPaymentRequired,
			Detail: "Insufficient credits. Required: " + short.Required.String() + ", Available: " + short.Available.String(),
		},
	}
}
