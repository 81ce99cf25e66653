package meter

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/creditcore"
)

// ledgerWait bounds every use of the ledger that outlives the client.
const ledgerWait = 4500 * time.Millisecond

// charge is what a request that passes the meter owes. One of its methods is
// called, once; an error is for the log, but for [errRefused].
type charge interface {
	// settle books what the request cost; note goes into the ledger. It fails
	// with [errRefused] where the client must not have the response.
	settle(ctx context.Context, cost creditcore.Amount, note json.RawMessage) (settlement, error)
	// cancel takes the charge back.
	cancel(ctx context.Context) (settlement, error)
}

// settlement is what a charge came to. remaining is what the account has then,
// nil where nothing has changed since the charge was made.
// entry is the row of the ledger that charges it, empty where it is not known.
type settlement struct {
	outcome   string
	cost      creditcore.Amount
	remaining *creditcore.Amount
	entry     string
}

func settlementOf(outcome string, cost, remaining creditcore.Amount) settlement {
	return settlement{outcome: outcome, cost: cost, remaining: &remaining}
}

// chargedBy is the settlement by a row of the ledger.
func chargedBy(r creditcore.Receipt) settlement {
	s := settlementOf(metrics.OutcomeCharged, -r.Entry.Amount, r.Balance.Available)
	s.entry = r.Entry.ID
	return s
}

// debited was taken in advance: the price is the cost.
type debited struct {
	ledger  *creditcore.Service
	receipt creditcore.Receipt
}

func (c debited) settle(ctx context.Context, _ creditcore.Amount, _ json.RawMessage) (settlement, error) {
	err := c.ledger.Begun(ctx, c.receipt)
	return settlement{outcome: metrics.OutcomeCharged, cost: -c.receipt.Entry.Amount, entry: c.receipt.Entry.ID}, err
}

// cancel refunds. The ledger remembers what it cannot refund at once.
func (c debited) cancel(ctx context.Context) (settlement, error) {
	b, err := c.ledger.Compensate(ctx, c.receipt)
	if err != nil {
		return settlement{outcome: metrics.OutcomeFree}, err
	}
	return settlementOf(metrics.OutcomeFree, 0, b.Available), nil
}

// reserved is a hold of this request alone.
type reserved struct {
	ledger *creditcore.Service
	hold   creditcore.Held
}

// settle charges the hold. Where that is not possible the response does not
// wait: what it costs is said, and charged when it can be.
func (c *reserved) settle(ctx context.Context, cost creditcore.Amount, note json.RawMessage) (settlement, error) {
	r, err := c.ledger.Settle(ctx, c.hold.ID, cost, note)
	if err != nil {
		return owed(c.ledger, c.hold, cost, err, func(ctx context.Context) error {
			_, err := c.ledger.Settle(ctx, c.hold.ID, cost, note)
			return err
		}), err
	}
	return chargedBy(r), nil
}

// owed has settle charge a hold later that could not be charged now, unless
// that is for good.
func owed(ledger *creditcore.Service, hold creditcore.Held, cost creditcore.Amount, err error, settle func(context.Context) error) settlement {
	if errors.Is(err, creditcore.ErrHoldNotFound) || errors.Is(err, creditcore.ErrInvalid) {
		return settlement{outcome: metrics.OutcomeUnpaid}
	}
	ledger.RetrySettlement(hold.ID, cost, settle)
	return settlementOf(metrics.OutcomeCharged, cost, hold.Balance.Available+hold.Amount-cost)
}

// extend reserves more.
func (c *reserved) extend(ctx context.Context, amount creditcore.Amount) (open bool, err error) {
	return extend(ctx, c.ledger, &c.hold, amount)
}

func extend(ctx context.Context, ledger *creditcore.Service, hold *creditcore.Held, amount creditcore.Amount) (open bool, err error) {
	b, open, err := ledger.Extend(ctx, *hold, amount)
	if err == nil && open {
		hold.Amount, hold.Balance = hold.Amount+amount, b
	}
	return open, err
}

// cancel gives the credits back. Where that fails the hold expires by itself.
func (c *reserved) cancel(ctx context.Context) (settlement, error) {
	b, err := c.ledger.Release(ctx, c.hold.ID)
	if err != nil {
		return settlement{outcome: metrics.OutcomeFree}, err
	}
	return settlementOf(metrics.OutcomeFree, 0, b.Available), nil
}

// unpaid passes because the ledger could not be asked.
type unpaid struct{}

func (unpaid) settle(context.Context, creditcore.Amount, json.RawMessage) (settlement, error) {
	return settlement{outcome: metrics.OutcomeUnpaid}, nil
}

func (unpaid) cancel(context.Context) (settlement, error) {
	return settlement{outcome: metrics.OutcomeUnpaid}, nil
}
