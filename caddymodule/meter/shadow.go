package meter

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/caddymodule/meter/upstream"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// shadowWait is how long a look at a balance may take that nobody needs.
const shadowWait = 250 * time.Millisecond

// sighting is what a meter in the shadow sees of an account.
type sighting struct {
	organization string // whose it is, empty for the user's
	balance      creditcore.Balance
	keyLeft      *creditcore.Amount // of the budget of the API key, nil for none
	memberLeft   *creditcore.Amount // of what is allotted to the member, nil for no bound
	err          error
}

// covers reports whether the account would pay so much.
func (s *sighting) covers(price creditcore.Amount) bool {
	return s.balance.Available >= price && (s.memberLeft == nil || *s.memberLeft >= price)
}

// serveShadow lets the request pass and tells what would have become of it.
// The account is looked at while the upstream works.
func (m *Meter) serveShadow(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	real, r := openBill(r, false)
	who := request.Caller(r.Context())
	v := &meteredRequest{Meter: m, w: w, r: r, bill: new(bill), userID: who.UserID, keyID: who.KeyID}
	ctx, stop := context.WithTimeout(r.Context(), shadowWait)
	v.find(ctx)
	stop()
	seen := make(chan sighting, 1)
	if err := v.choosePayer(&who); err != nil {
		seen <- sighting{err: err}
	} else if v.userID != "" || v.byGuest() {
		go func() { seen <- v.look() }()
	}
	var free bool
	end := func(e upstream.Result, said statement) error {
		if free = m.free.Covers(e); !free {
			v.bill.cost = m.cost(v.terms, e, said, v.price)
		}
		if real.written {
			real.write(w.Header())
		}
		return nil
	}
	defer func() {
		outcome := v.report(free, seen)
		if !real.written {
			v.bill.placeholders(r, outcome)
		}
	}()
	return m.watch(w, r, next, watched{terms: v.terms, end: end})
}

func (v *meteredRequest) look() (s sighting) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(v.r.Context()), shadowWait)
	defer stop()
	ledger, err := v.credits, v.notReady
	if err != nil {
		return sighting{err: err}
	}
	if v.byGuest() {
		return v.lookAtWallet(ctx)
	}
	s = v.lookAt(ctx, ledger, v.organization)
	if v.Payer == payerOrgThenUser && s.organization != "" && (noMember(s.err) || s.err == nil && !s.covers(v.hold)) {
		s = v.lookAt(ctx, ledger, "")
	}
	if s.err == nil && v.keyID != "" {
		s.keyLeft, s.err = ledger.KeyLeft(ctx, v.keyID)
	}
	return s
}

// lookAt sees what an organisation, or with an empty one the user, has.
func (v *meteredRequest) lookAt(ctx context.Context, ledger *creditcore.Service, organization string) sighting {
	s := sighting{organization: organization}
	if organization != "" {
		if s.memberLeft, s.err = ledger.MemberLeft(ctx, organization, v.userID); s.err != nil {
			return s
		}
	}
	s.balance, s.err = ledger.BalanceOf(ctx, creditcore.AccountOf(v.userID, organization))
	return s
}

// report counts what would have been, and logs who would have been refused.
func (v *meteredRequest) report(free bool, seen <-chan sighting) (outcome string) {
	outcome = v.verdict(seen)
	switch {
	case outcome != metrics.OutcomeCharged:
		v.bill.cost = 0
		v.Log.Info("a request would have been refused", zap.String("outcome", outcome), zap.String("user", v.userID),
			zap.String("app", v.app()), zap.String("operation", v.Operation), zap.Stringer("credits", v.price))
	case free:
		outcome = metrics.OutcomeFree
	}
	metrics.MeterRequests.WithLabelValues(v.label(), metrics.ShadowPrefix+outcome).Inc()
	metrics.MeterCredits.WithLabelValues(v.label(), "shadow").Add(float64(v.bill.cost) / float64(creditcore.Credit))
	return metrics.ShadowPrefix + outcome
}

// verdict is what the ledger would have said before the upstream was asked.
func (v *meteredRequest) verdict(seen <-chan sighting) string {
	if v.userID == "" && !v.byGuest() {
		return metrics.OutcomeGuest
	}
	s := <-seen
	switch {
	case errors.Is(s.err, errNoOrganization), s.organization != "" && noMember(s.err):
		return metrics.OutcomeRefused
	case errors.Is(s.err, creditcore.ErrAccountNotFound):
		return metrics.OutcomeGuest
	case s.err != nil, v.unknown != nil:
		return metrics.OutcomeUnavailable
	}
	v.bill.see(s.balance.Available)
	if v.byGuest() {
		v.bill.pays(payerGuest)
	} else {
		v.bill.paidBy(s.organization)
	}
	if !s.covers(v.hold) || s.keyLeft != nil && *s.keyLeft < v.hold {
		return metrics.OutcomeInsufficient
	}
	return metrics.OutcomeCharged
}
