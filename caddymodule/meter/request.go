package meter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"mana.how/edge/caddymodule/meter/fingerprint"
	"mana.how/edge/caddymodule/meter/upstream"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/site"
	"mana.how/edge/creditcore"
)

// meteredRequest is one request at the meter.
type meteredRequest struct {
	*Meter
	w        http.ResponseWriter
	r        *http.Request
	writer   *site.Writer
	bill     *bill
	userID   string
	keyID    string              // of the API key that the user acts by, empty for none
	credits  *creditcore.Service // nil where it is not ready
	notReady error
	terms
	// organization pays, empty where the user does.
	organization string
	charge       charge
	extension    *extension        // nil where all is reserved that the request may cost
	body         *fingerprint.Body // of a request with a key
	begun        bool              // the response has
	done         []func()          // to be called at the end of the request
}

// begin takes or reserves the price. An error is to be answered in place of
// the upstream, by refuse; nothing is owed then.
func (v *meteredRequest) begin() error {
	who := request.Caller(v.r.Context())
	if v.userID, v.keyID = who.UserID, who.KeyID; v.userID == "" && v.Guest == nil {
		return request.ErrNoToken
	}
	var key string
	var err error
	if v.userID != "" {
		if err := v.choosePayer(&who); err != nil {
			return err
		}
		if key, err = idempotencyKey(v.r); err != nil {
			return err
		}
	}
	if key != "" {
		key = keyOfMeter(key, v.bill.meters)
	}
	switch err = v.notReady; {
	case err != nil:
	case v.userID == "":
		v.charge, err = v.takeOfGuest()
	default:
		v.charge, err = v.takeOf(v.credits, key)
	}
	if err != nil {
		if _, outcome := v.refusal(err); outcome != metrics.OutcomeUnavailable || v.OnOutage != "allow" || v.r.Context().Err() != nil {
			return err
		}
		v.Log.Warn("the ledger cannot be asked: a request passes unpaid", zap.Error(err),
			zap.String("user", v.userID), zap.String("app", v.app()), zap.String("operation", v.Operation), zap.Stringer("credits", v.price))
		v.charge = unpaid{}
	}
	if err := v.compare(); err != nil {
		v.cancel()
		return err
	}
	if err := v.r.Context().Err(); err != nil {
		v.cancel()
		return errClientGone
	}
	v.extension = v.extend()
	return nil
}

// compare looks at the body of a request with a key, now that its price is
// reserved: whoever has no credits keeps nobody busy with a body.
func (v *meteredRequest) compare() error {
	c, ok := v.charge.(keyable)
	if !ok {
		return nil
	}
	known, ok := c.standsFor()
	if !ok {
		return nil
	}
	v.body = fingerprint.Take(v.r)
	done, err := preview(v.r, v.body, known)
	v.done = append(v.done, done)
	if err != nil {
		return err
	}
	return c.previewed(v.body)
}

// keyable is a charge that may have a key.
type keyable interface {
	// standsFor is what is known of the body that the key stands for; false without a key.
	standsFor() (known fingerprint.Fingerprint, ok bool)
	// previewed is called when as much of the body was read and compared as can be ahead of
	// the app. It fails where that is too little.
	previewed(body *fingerprint.Body) error
}

// close is called when the response has left.
func (v *meteredRequest) close() {
	defer func() {
		for _, done := range v.done {
			done()
		}
	}()
	c, ok := v.charge.(interface {
		// finish is called when the response is over.
		finish(ctx context.Context) error
	})
	if !ok {
		return
	}
	ctx, stop := v.detached()
	defer stop()
	if err := c.finish(ctx); err != nil {
		v.Log.Error("finish a metered request", zap.Error(err), zap.String("user", v.userID))
	}
}

// take asks the ledger. The client's going away takes a debit out of the
// queue; a hold has to be known, to be released.
func (v *meteredRequest) take(ledger *creditcore.Service, key string) (charge, error) {
	if key == "" && v.CostFrom == "" && v.CostTokens == nil && v.abortCost == nil && v.SettledBy != settledByApp {
		debit := v.debit(v.price, nil)
		if c, ok := v.lease(ledger, debit); ok {
			return c, nil
		}
		debit.InFlight = true
		receipt, err := ledger.Debit(v.r.Context(), debit)
		if err == nil {
			v.bill.see(receipt.Balance.Available)
		}
		return debited{ledger, receipt}, err
	}
	ctx, stop := v.detached()
	defer stop()
	request := creditcore.Hold{
		UserID: v.userID, Organization: v.organization, Amount: v.hold, AppID: v.app(), Operation: v.Operation,
		Description: v.description(), Metadata: v.metadata(nil), Key: key, TTL: v.ttl(), APIKey: v.keyID,
		Committable: v.SettledBy == settledByApp, Price: v.PriceName,
	}
	if key != "" {
		request.Request = requestLine(v.r)
	}
	hold, err := ledger.Hold(ctx, request)
	if err == nil {
		v.organization = creditcore.OrganizationOf(hold.Account)
		v.bill.see(hold.Balance.Available)
		v.joined(hold)
	}
	if v.SettledBy == settledByApp {
		return &handed{meteredRequest: v, ledger: ledger, hold: hold, keyed: key != ""}, err
	}
	if key != "" {
		return &keyed{meteredRequest: v, ledger: ledger, hold: hold, known: hold.Body}, err
	}
	return &reserved{ledger, hold}, err
}

// debit charges the request at once; note goes into the ledger.
func (v *meteredRequest) debit(cost creditcore.Amount, note json.RawMessage) creditcore.Debit {
	return creditcore.Debit{
		UserID: v.userID, Organization: v.organization, Amount: cost, AppID: v.app(), Operation: v.Operation,
		Description: v.description(), Metadata: v.metadata(note), APIKey: v.keyID,
	}
}

// detached outlives the client.
func (v *meteredRequest) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(v.r.Context()), ledgerWait)
}

// end settles with the header of the response at hand, or what it said to its end. It
// fails where the client must not have the response.
func (v *meteredRequest) end(e upstream.Result, said statement) error {
	most := v.price
	if v.extension != nil {
		most = v.extension.finish(0)
	}
	var owed creditcore.Amount
	if !v.bill.refused && !v.free.Covers(e) {
		owed = v.cost(v.terms, e, said, most)
	}
	v.begun = e.Begun
	var s settlement
	var err error
	if owed == 0 {
		s = v.cancel()
	} else if s, err = v.settle(owed, note{e.Status, said.tokens}.json()); errors.Is(err, errRefused) {
		return err
	}
	v.bill.note(s)
	if s.remaining != nil {
		v.bill.see(*s.remaining)
	}
	metrics.MeterRequests.WithLabelValues(v.label(), s.outcome).Inc()
	metrics.MeterCredits.WithLabelValues(v.label(), v.mode()).Add(credits(s.cost))
	v.bill.write(v.w.Header())
	v.sign(v.w.Header())
	v.bill.placeholders(v.r, s.outcome)
	return nil
}

// mode is whose credits a metric counts.
func (v *meteredRequest) mode() string {
	if v.userID == "" {
		return payerGuest
	}
	return "charged"
}

// settle charges the request. What it cost beyond what can be reserved for it is charged
// by a row of its own; a guest does not owe it.
func (v *meteredRequest) settle(cost creditcore.Amount, note json.RawMessage) (settlement, error) {
	var rest creditcore.Amount
	if v.extension != nil {
		rest = max(0, cost-v.extension.finish(cost))
	}
	ctx, stop := v.detached()
	defer stop()
	s, err := v.charge.settle(ctx, cost-rest, note)
	if rest > 0 && s.outcome == metrics.OutcomeCharged && v.userID != "" {
		paid, again := v.afterwards(ctx, rest, note)
		s.cost, err = s.cost+paid, errors.Join(err, again)
		if s.remaining != nil {
			*s.remaining -= paid
		}
	}
	if err != nil && !errors.Is(err, errRefused) {
		v.Log.Error("settle a request", zap.Error(err), zap.String("user", v.userID), zap.Stringer("credits", cost))
	}
	return s, err
}

func (v *meteredRequest) cancel() settlement {
	ctx, stop := v.detached()
	defer stop()
	s, err := v.charge.cancel(ctx)
	if err != nil {
		v.Log.Warn("take back a charge", zap.Error(err), zap.String("user", v.userID))
	}
	return s
}

// ttl is how long what is reserved outlives this process, 0 for the default.
func (m *Meter) ttl() time.Duration { return time.Duration(m.HoldTTL) }

// cost is what a request that is not free cost: what the upstream says, or most. An
// upstream that says nothing sensible is reported, unless it had no chance to speak.
func (m *Meter) cost(by terms, e upstream.Result, said statement, most creditcore.Amount) creditcore.Amount {
	if cost, ok := said.cost(m, by); ok {
		return cost
	}
	switch {
	case e.Abort && by.abortCost != nil:
		return min(*by.abortCost, most)
	case (m.CostFrom != "" || m.CostTokens != nil) && e.Answered && !said.cut && !(e.Abort && e.Begun):
		metrics.MeterBadCosts.Inc()
		m.Log.Warn("a response does not say what it cost: all that is reserved for it is charged",
			zap.String("header", m.CostFrom), zap.Strings("values", said.values), zap.Int("status", e.Status))
	}
	return most
}

// app is what the charge is booked under.
func (v *meteredRequest) app() string {
	if v.App != "" {
		return v.App
	}
	return hostOf(v.r)
}

// label is the app in metrics: one of few, whatever host clients ask for.
func (v *meteredRequest) label() string { return cmp.Or(v.App, v.SiteName(v.r)) }

// hostOf is the host that was asked for, without its port.
func hostOf(r *http.Request) string { return clipped(request.HostName(r.Host), longestName) }

func (v *meteredRequest) description() string {
	if v.Operation != "" {
		return v.Operation
	}
	original := request.Original(v.r)
	return clipped(original.Method+" "+original.URL.EscapedPath(), longestName)
}

// metadata says where the credits went, without the query, which may hold
// secrets, and note, an object.
func (v *meteredRequest) metadata(note json.RawMessage) json.RawMessage {
	original := request.Original(v.r)
	raw, err := json.Marshal(struct {
		Method string `json:"method"`
		Host   string `json:"host"`
		Path   string `json:"path"`
		Price  string `json:"price,omitempty"`
		// Quantity is told where the charge is the price and nothing else.
		Quantity int `json:"quantity,omitempty"`
		// PriceVersion is that of the price book, absent where the config has the prices.
		PriceVersion int64 `json:"priceVersion,omitempty"`
		// PricePlan is the plan whose price it is, absent for that of everybody.
		PricePlan string `json:"pricePlan,omitempty"`
	}{clipped(original.Method, longestName), hostOf(v.r), clipped(original.URL.EscapedPath(), 1024), v.PriceName, v.quantity(), v.version, v.plan})
	if err != nil {
		return nil
	}
	if len(note) > len("{}") {
		raw = append(append(raw[:len(raw)-1], ','), note[1:]...)
	}
	return raw
}

// quantity is 1 for a request that costs a named price, 0 where what it costs is
// said by others.
func (v *meteredRequest) quantity() int {
	if v.PriceName == "" || v.SettledBy == settledByApp || v.CostFrom != "" || v.CostTokens != nil || v.abortCost != nil {
		return 0
	}
	return 1
}

// clipped cuts ASCII text.
func clipped(text string, limit int) string { return text[:min(len(text), limit)] }
