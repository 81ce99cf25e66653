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
	balance creditcore.Balance
	keyLeft *creditcore.Amount // of the budget of the API key, nil for none
	err     error
}

// serveShadow lets the request pass and tells what would have become of it.
// The account is looked at while the upstream works.
func (m *Meter) serveShadow(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	real, r := openBill(r)
	who := request.Caller(r.Context())
	v := &meteredRequest{Meter: m, w: w, r: r, bill: new(bill), userID: who.UserID, keyID: who.KeyID}
	seen := make(chan sighting, 1)
	if v.userID != "" {
		go func() { seen <- v.look() }()
	}
	var free bool
	end := func(e upstream.Result, header []string) error {
		if free = m.free.Covers(e); !free {
			v.bill.cost = m.cost(e, header)
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
	return m.watch(w, r, next, end, nil)
}

func (v *meteredRequest) look() (s sighting) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(v.r.Context()), shadowWait)
	defer stop()
	ledger, err := v.ledger.Get(ctx)
	if err != nil {
		return sighting{err: err}
	}
	if s.balance, s.err = ledger.BalanceOf(ctx, v.userID); s.err == nil && v.keyID != "" {
		s.keyLeft, s.err = ledger.KeyLeft(ctx, v.keyID)
	}
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
	metrics.MeterRequests.WithLabelValues(metrics.ShadowPrefix + outcome).Inc()
	metrics.MeterCredits.WithLabelValues("shadow").Add(float64(v.bill.cost) / float64(creditcore.Credit))
	return metrics.ShadowPrefix + outcome
}

// verdict is what the ledger would have said before the upstream was asked.
func (v *meteredRequest) verdict(seen <-chan sighting) string {
	if v.userID == "" {
		return metrics.OutcomeGuest
	}
	s := <-seen
	switch {
	case errors.Is(s.err, creditcore.ErrAccountNotFound):
		return metrics.OutcomeGuest
	case s.err != nil:
		return metrics.OutcomeUnavailable
	}
	v.bill.see(s.balance.Available)
	if s.balance.Available < v.price || s.keyLeft != nil && *s.keyLeft < v.price {
		return metrics.OutcomeInsufficient
	}
	return metrics.OutcomeCharged
}
