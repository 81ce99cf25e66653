package meter

import (
	"context"
	"errors"
	"net/http"
	"time"

	"mana.how/edge/creditcore"
)

// longestAbort bounds how long an upstream works for a client that is gone.
const longestAbort = 5 * time.Minute

// AbortCost is what a client pays that leaves before the response begins: a
// number of credits up to the price, or "wait", which lets the upstream come to
// its end. Empty is the price.
type AbortCost string

const abortWait = "wait"

var errAbortCost = errors.New("takes wait, or a number of credits from 0 up to the price")

// amount is nil where it is no number.
func (c AbortCost) amount(price creditcore.Amount) (*creditcore.Amount, error) {
	if c == "" || c == abortWait {
		return nil, nil
	}
	if c == "0" {
		return new(creditcore.Amount), nil
	}
	amount, err := Price(c).amount()
	if err != nil || amount > price {
		return nil, errAbortCost
	}
	return &amount, nil
}

// outlive is the request for an upstream that does not notice that the client
// leaves, until the request is settled.
func (w *meterWriter) outlive(r *http.Request) (*http.Request, func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	stop := context.AfterFunc(r.Context(), func() {
		limit := time.NewTimer(longestAbort)
		defer limit.Stop()
		select {
		case <-w.over:
		case <-limit.C:
		case <-ctx.Done():
		}
		cancel()
	})
	return r.WithContext(ctx), func() {
		stop()
		cancel()
	}
}
