package meter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"mana.how/edge/caddymodule/meter/fingerprint"
	"mana.how/edge/caddymodule/meter/price"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// The values of the option settled_by.
const (
	settledByEdge = "edge"
	settledByApp  = "app"
)

const (
	// headerHold tells the app which hold the request is reserved by.
	headerHold = "Mana-Credits-Hold"
	// headerReserved tells the client what is reserved for a request whose cost is not known yet.
	headerReserved = "Mana-Credits-Reserved"
)

// errBusy means that there is no place for one more body to compare.
var errBusy = fmt.Errorf("%w: too many bodies of requests with a key are compared", creditcore.ErrUnavailable)

// validateHandover reports the options by which the edge settles a request.
func (m *Meter) validateHandover(fault func(format string, args ...any)) {
	for _, option := range []struct {
		name string
		set  bool
	}{
		{"cost_from", m.CostFrom != ""}, {"cost_tokens", m.CostTokens != nil}, {"durability batched", m.Durability == durabilityBatched},
		{"shadow", m.Shadow}, {"receipt", m.Receipt}, {"a number as abort_cost", m.AbortCost != "" && m.AbortCost != price.AbortWait},
	} {
		if option.set {
			fault("settled_by: the app says what a request costs: it does not go with %s", option.name)
		}
	}
}

// handed is a hold that the app settles. The edge gives it back where the request is
// free, and leaves it to the app otherwise.
type handed struct {
	*meteredRequest
	ledger *creditcore.Service
	hold   creditcore.Held
	keyed  bool
	over   bool // it was given back
}

// tell tells the app which hold it is.
func (c *handed) tell(h http.Header) { h[headerHold] = append(h[headerHold], c.hold.ID) }

func (c *handed) standsFor() (fingerprint.Fingerprint, bool) { return c.hold.Body, c.keyed }

// previewed keeps the body that the key stands for, all of which must have been read: the
// app that settles the request does not know it.
func (c *handed) previewed(body *fingerprint.Body) error {
	fp := body.Fingerprint()
	switch {
	case fp.Complete():
	case 0 < c.r.ContentLength && c.r.ContentLength <= longestPreview:
		return errBusy
	default:
		return keyError(request.IdempotencyKeyHeader + " goes with a body of an announced length of up to 64 KiB here")
	}
	if len(c.hold.Body) > 0 {
		return nil // it was compared
	}
	ctx, stop := c.detached()
	defer stop()
	known, err := c.ledger.MarkBody(ctx, c.hold.ID, nil, fp)
	if err == nil && fingerprint.Fingerprint(known).Contradicts(fp) {
		err = creditcore.ErrKeyReused
	}
	return err
}

// settle says what the app has charged by now.
func (c *handed) settle(ctx context.Context, _ creditcore.Amount, _ json.RawMessage) (settlement, error) {
	if c.hold.Settled != nil {
		return settlement{outcome: metrics.OutcomeReplayed}, nil
	}
	stands, err := c.ledger.Standing(ctx, c.hold.ID)
	switch {
	case err != nil:
		c.bill.reserved += c.hold.Amount
		return settlement{outcome: metrics.OutcomeReserved}, err
	case stands.Open:
		c.bill.reserved += c.hold.Amount
		return settlementOf(metrics.OutcomeReserved, 0, stands.Balance.Available), nil
	}
	return c.resolved(stands), nil
}

// resolved is what the app made of the hold.
func (c *handed) resolved(stands creditcore.Standing) settlement {
	if stands.Settled == nil {
		return settlementOf(metrics.OutcomeFree, 0, stands.Balance.Available)
	}
	return settlementOf(metrics.OutcomeCharged, *stands.Settled, stands.Balance.Available)
}

// cancel gives back what the app has not charged. What it has charged stays.
func (c *handed) cancel(ctx context.Context) (settlement, error) {
	c.over = true
	b, err := c.ledger.Release(ctx, c.hold.ID)
	switch {
	case err != nil:
		return settlement{outcome: metrics.OutcomeFree}, err
	case c.hold.Settled != nil:
		return settlementOf(metrics.OutcomeReplayed, 0, b.Available), nil
	}
	stands, err := c.ledger.Standing(ctx, c.hold.ID)
	if err != nil || stands.Open { // another request of its key runs
		return settlementOf(metrics.OutcomeFree, 0, b.Available), err
	}
	return c.resolved(stands), nil
}

// finish leaves the hold to the app, now that the response is over.
func (c *handed) finish(ctx context.Context) error {
	if c.over {
		return nil
	}
	return c.ledger.HandOver(ctx, c.hold.ID, c.ttl())
}
