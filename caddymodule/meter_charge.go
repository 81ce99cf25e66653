package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"mana.how/edge/creditcore"
)

// ledgerWait bounds every use of the ledger that outlives the client.
const ledgerWait = 4500 * time.Millisecond

// charge is what a request that passes the meter owes. One of its methods is
// called, once; an error is for the log.
type charge interface {
	// settle books what the request cost; note goes into the ledger.
	settle(ctx context.Context, cost creditcore.Amount, note json.RawMessage) (statement, error)
	// cancel takes the charge back.
	cancel(ctx context.Context) (statement, error)
}

// statement is what a charge came to. remaining is what the account has then,
// nil where nothing has changed since the charge was made.
type statement struct {
	outcome   string
	cost      creditcore.Amount
	remaining *creditcore.Amount
}

func stated(outcome string, cost, remaining creditcore.Amount) statement {
	return statement{outcome, cost, &remaining}
}

// debited was taken in advance: the price is the cost.
type debited struct {
	ledger  *creditcore.Service
	receipt creditcore.Receipt
}

func (c debited) settle(ctx context.Context, _ creditcore.Amount, _ json.RawMessage) (statement, error) {
	err := c.ledger.Begun(ctx, c.receipt)
	return statement{outcome: outcomeCharged, cost: -c.receipt.Entry.Amount}, err
}

// cancel refunds. The ledger remembers what it cannot refund at once.
func (c debited) cancel(ctx context.Context) (statement, error) {
	b, err := c.ledger.Compensate(ctx, c.receipt)
	if err != nil {
		return statement{outcome: outcomeFree}, err
	}
	return stated(outcomeFree, 0, b.Available), nil
}

// reserved is a hold, this request's own or shared with others of its key.
type reserved struct {
	ledger *creditcore.Service
	hold   creditcore.Held
}

// settle charges the hold, unless another request of its key was first. While
// the database is away the response does not wait: what it costs is said, and
// charged when that is possible.
func (c reserved) settle(ctx context.Context, cost creditcore.Amount, note json.RawMessage) (statement, error) {
	r, err := c.ledger.Settle(ctx, c.hold.ID, cost, note)
	switch {
	case errors.Is(err, creditcore.ErrUnavailable):
		late.add(c.ledger, c.hold.ID, cost, note)
		return stated(outcomeCharged, cost, c.hold.Balance.Available+c.hold.Amount-cost), err
	case err != nil:
		return statement{outcome: outcomeUnpaid}, err
	case r.Replayed:
		return stated(outcomeReplayed, 0, r.Balance.Available), nil
	}
	return stated(outcomeCharged, -r.Entry.Amount, r.Balance.Available), nil
}

// cancel gives the credits back, or leaves them to the other requests of the
// key. Where that fails the hold expires by itself.
func (c reserved) cancel(ctx context.Context) (statement, error) {
	b, err := c.ledger.Release(ctx, c.hold.ID)
	if err != nil {
		return statement{outcome: outcomeFree}, err
	}
	return stated(outcomeFree, 0, b.Available), nil
}

// settled was charged to an earlier request under the same key.
type settled struct{}

func (settled) settle(context.Context, creditcore.Amount, json.RawMessage) (statement, error) {
	return statement{outcome: outcomeReplayed}, nil
}

func (settled) cancel(context.Context) (statement, error) {
	return statement{outcome: outcomeReplayed}, nil
}

// unpaid passes because the ledger could not be asked.
type unpaid struct{}

func (unpaid) settle(context.Context, creditcore.Amount, json.RawMessage) (statement, error) {
	return statement{outcome: outcomeUnpaid}, nil
}

func (unpaid) cancel(context.Context) (statement, error) {
	return statement{outcome: outcomeUnpaid}, nil
}
