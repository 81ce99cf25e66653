package caddymodule

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// metering is one request at the meter.
type metering struct {
	*Meter
	w      http.ResponseWriter
	r      *http.Request
	bill   *bill
	userID string
	charge charge
}

// begin takes or reserves the price. An error is to be answered in place of
// the upstream, by refuse; nothing is owed then.
func (v *metering) begin() error {
	service, notReady := v.service(v.r.Context())
	if v.userID = request.Caller(v.r.Context()).UserID; v.userID == "" {
		return errNoToken
	}
	key, err := idempotencyKey(v.r.Header)
	if err != nil {
		return err
	}
	mark := ""
	if key != "" {
		key = keyOfMeter(key, v.bill.meters)
		if mark, err = requestMark(v.r); err != nil {
			return err
		}
	}
	if err = notReady; err == nil {
		v.charge, err = v.take(service.ledger, key, mark)
	}
	if err != nil {
		if _, outcome := v.refusal(err); outcome != outcomeUnavailable || v.OnOutage != "allow" || v.r.Context().Err() != nil {
			return err
		}
		v.logger.Warn("the ledger cannot be asked: a request passes unpaid", zap.Error(err),
			zap.String("user", v.userID), zap.String("app", v.app()), zap.String("operation", v.Operation), zap.Stringer("credits", v.price))
		v.charge = unpaid{}
	}
	if err := v.r.Context().Err(); err != nil {
		v.cancel()
		return errClientGone
	}
	return nil
}

// take asks the ledger. The client's going away takes a debit out of the
// queue; a hold has to be known, to be released.
func (v *metering) take(ledger *creditcore.Service, key, mark string) (charge, error) {
	if key == "" && v.CostFrom == "" {
		receipt, err := ledger.Debit(v.r.Context(), creditcore.Debit{
			UserID: v.userID, Amount: v.price, AppID: v.app(), Operation: v.Operation,
			Description: v.description(), Metadata: v.metadata(), InFlight: true,
		})
		if err == nil {
			v.bill.see(receipt.Balance.Available)
		}
		return debited{ledger, receipt}, err
	}
	ctx, stop := v.detached()
	defer stop()
	hold, err := ledger.Hold(ctx, creditcore.Hold{
		UserID: v.userID, Amount: v.price, AppID: v.app(), Operation: v.Operation,
		Description: v.description(), Metadata: v.metadata(), Key: key, Request: mark, TTL: time.Duration(v.HoldTTL),
	})
	if err == nil {
		v.bill.see(hold.Balance.Available)
	}
	if hold.Settled != nil {
		return settled{}, err
	}
	return reserved{ledger, hold}, err
}

// detached outlives the client.
func (v *metering) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(v.r.Context()), ledgerWait)
}

// end settles with the header of the response at hand.
func (v *metering) end(e ending, cost []string) {
	var owed creditcore.Amount
	if !v.bill.refused && !v.free.covers(e) {
		owed = v.cost(e, cost)
	}
	var s statement
	if owed == 0 {
		s = v.cancel()
	} else {
		s = v.settle(owed, e.status)
	}
	if v.bill.cost += s.cost; s.remaining != nil {
		v.bill.see(*s.remaining)
	}
	meterRequests.WithLabelValues(s.outcome).Inc()
	meterCredits.WithLabelValues("charged").Add(float64(s.cost) / float64(creditcore.Credit))
	v.bill.write(v.w.Header())
	v.bill.placeholders(v.r, s.outcome)
}

func (v *metering) settle(cost creditcore.Amount, status int) statement {
	ctx, stop := v.detached()
	defer stop()
	note, err := json.Marshal(map[string]int{"status": status})
	if err != nil {
		v.logger.Error("describe a charge", zap.Error(err))
	}
	s, err := v.charge.settle(ctx, cost, note)
	if err != nil {
		v.logger.Error("settle a request", zap.Error(err), zap.String("user", v.userID), zap.Stringer("credits", cost))
	}
	return s
}

func (v *metering) cancel() statement {
	ctx, stop := v.detached()
	defer stop()
	s, err := v.charge.cancel(ctx)
	if err != nil {
		v.logger.Warn("take back a charge", zap.Error(err), zap.String("user", v.userID))
	}
	return s
}

// cost is what a request that is not free cost: the price, or what the
// upstream says. An upstream that says nothing sensible is reported, unless it
// had no chance to speak.
func (m *Meter) cost(e ending, header []string) creditcore.Amount {
	if m.CostFrom == "" {
		return m.price
	}
	if cost, ok := costOf(header, m.price); ok {
		return cost
	}
	if e.answered {
		meterBadCosts.Inc()
		m.logger.Warn("a response does not say what it cost: the full price is charged",
			zap.String("header", m.CostFrom), zap.Strings("values", header), zap.Int("status", e.status))
	}
	return m.price
}

// app is what the charge is booked under.
func (v *metering) app() string {
	if v.App != "" {
		return v.App
	}
	return hostOf(v.r)
}

// hostOf is the host that was asked for, without its port.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(clipped(host, longestName))
}

func (v *metering) description() string {
	if v.Operation != "" {
		return v.Operation
	}
	original := request.Original(v.r)
	return clipped(original.Method+" "+original.URL.EscapedPath(), longestName)
}

// metadata says where the credits went, without the query, which may hold
// secrets.
func (v *metering) metadata() json.RawMessage {
	original := request.Original(v.r)
	raw, err := json.Marshal(struct {
		Method string `json:"method"`
		Host   string `json:"host"`
		Path   string `json:"path"`
	}{clipped(original.Method, longestName), hostOf(v.r), clipped(original.URL.EscapedPath(), 1024)})
	if err != nil {
		return nil
	}
	return raw
}

// clipped cuts ASCII text.
func clipped(text string, limit int) string { return text[:min(len(text), limit)] }
