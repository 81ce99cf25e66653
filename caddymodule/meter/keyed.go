package meter

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"mana.how/edge/caddymodule/meter/fingerprint"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/creditcore"
)

// errRefused means that the client must not have the response, because what it
// costs cannot be charged. The error it comes with says why.
var errRefused = errors.New("the response is withheld")

// keyed is a hold that the requests under one key share. The first to settle
// pays for all whose bodies are the same; another body is charged as a request
// of its own, before the response begins where the body has been read by then,
// else when it has been.
type keyed struct {
	*meteredRequest
	ledger *creditcore.Service
	hold   creditcore.Held
	known  fingerprint.Fingerprint // of the body that the key stands for

	cost     creditcore.Amount // that was settled, 0 for none
	note     json.RawMessage
	compared bool // all of the body was
}

func (c *keyed) standsFor() (fingerprint.Fingerprint, bool) { return c.known, true }

// previewed lets every body pass: the rest is compared as it streams.
func (c *keyed) previewed(*fingerprint.Body) error { return nil }

// settle charges the hold, unless another request of its key was first.
func (c *keyed) settle(ctx context.Context, cost creditcore.Amount, note json.RawMessage) (settlement, error) {
	fp := c.body.Fingerprint()
	c.cost, c.note = cost, note
	s := settlement{outcome: metrics.OutcomeReplayed}
	if c.hold.Settled == nil {
		r, err := c.ledger.SettleBody(ctx, c.hold.ID, cost, note, fp)
		if err != nil {
			return owed(c.ledger, c.hold, cost, err, func(ctx context.Context) error {
				r, err := c.ledger.SettleBody(ctx, c.hold.ID, cost, note, fp)
				if err == nil && r.Replayed && fp.Contradicts(r.Body) {
					_, err = c.ledger.Debit(ctx, c.debit(cost, note))
				}
				return err
			}), err
		}
		if c.known = r.Body; !r.Replayed {
			c.compared = fp.Complete()
			return chargedBy(r), nil
		}
		s = settlementOf(metrics.OutcomeReplayed, 0, r.Balance.Available)
	}
	if c.known.Contradicts(fp) {
		c.cost = 0
		return c.another(ctx, cost, note)
	}
	c.compared = fp.Complete() && c.known.Complete()
	return s, nil
}

// extend reserves more for all requests of the key, until one of them is charged.
func (c *keyed) extend(ctx context.Context, amount creditcore.Amount) (open bool, err error) {
	if c.hold.Settled != nil {
		return false, nil
	}
	return extend(ctx, c.ledger, &c.hold, amount)
}

// another charges a request that turned out not to be the one of its key.
func (c *keyed) another(ctx context.Context, cost creditcore.Amount, note json.RawMessage) (settlement, error) {
	metrics.MeterOthers.Inc()
	if c.begun {
		paid, err := c.afterwards(ctx, cost, note)
		return settlement{outcome: metrics.OutcomeCharged, cost: paid}, err
	}
	r, err := c.ledger.Debit(ctx, c.debit(cost, note))
	if err != nil {
		return settlement{outcome: metrics.OutcomeRefused}, errors.Join(errRefused, err)
	}
	return chargedBy(r), nil
}

// cancel gives the credits back, or leaves them to the other requests of the
// key, and does not count for the key. Where that fails the hold expires by
// itself.
func (c *keyed) cancel(ctx context.Context) (settlement, error) {
	outcome := metrics.OutcomeFree
	if c.hold.Settled != nil {
		outcome = metrics.OutcomeReplayed
	}
	b, err := c.ledger.Release(ctx, c.hold.ID)
	if err != nil {
		return settlement{outcome: outcome}, err
	}
	return settlementOf(outcome, 0, b.Available), nil
}

// tries bounds how often requests of one key get in each other's way.
const tries = 8

// finish tells the key what has been read of the body since the response
// began. One that turns out to be another is charged then, although the client
// was told otherwise.
func (c *keyed) finish(ctx context.Context) error {
	if c.cost == 0 || c.compared {
		return nil
	}
	for range tries {
		fp := c.body.Fingerprint()
		if c.known.Contradicts(fp) {
			metrics.MeterOthers.Inc()
			c.Log.Warn("a request was not the one of its Idempotency-Key: it is charged, although its response said that it cost nothing",
				zap.String("user", c.userID), zap.Stringer("credits", c.cost))
			paid, err := c.afterwards(ctx, c.cost, c.note)
			metrics.MeterCredits.WithLabelValues(c.label(), "charged").Add(credits(paid))
			return err
		}
		if !fp.Extends(c.known) {
			return nil
		}
		known, err := c.ledger.MarkBody(ctx, c.hold.ID, c.known, fp)
		if err != nil {
			return err
		}
		if c.known = known; !c.known.Contradicts(fp) && !fp.Extends(c.known) {
			return nil
		}
	}
	return nil
}

// afterwards charges for a response that has left: now, or when it can be. What the
// account does not have it owes.
func (v *meteredRequest) afterwards(ctx context.Context, cost creditcore.Amount, note json.RawMessage) (paid creditcore.Amount, err error) {
	name := "request:" + uuid.NewString()
	charge := func(ctx context.Context) (creditcore.Served, error) {
		served, err := v.credits.DebitServed(ctx, v.debit(cost, note), name)
		metrics.MeterUnpaid.Add(credits(served.Owed))
		return served, err
	}
	served, err := charge(ctx)
	if err != nil {
		v.credits.RetrySettlement(name+" of "+v.userID, cost, func(ctx context.Context) error {
			_, err := charge(ctx)
			return err
		})
	}
	return served.Paid, err
}

// credits is an amount for a metric.
func credits(a creditcore.Amount) float64 { return float64(a) / float64(creditcore.Credit) }
