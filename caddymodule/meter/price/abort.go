package price

import (
	"errors"

	"mana.how/edge/creditcore"
)

// AbortCost is what a client pays that leaves before the response begins: a
// number of credits up to the price, or "wait", which lets the upstream come to
// its end. Empty is the price.
type AbortCost string

// AbortWait lets the app come to its end for a client that is gone.
const AbortWait = "wait"

var errAbortCost = errors.New("takes wait, or a number of credits from 0 up to the price")

// Amount is nil where it is no number.
func (c AbortCost) Amount(price creditcore.Amount) (*creditcore.Amount, error) {
	if c == "" || c == AbortWait {
		return nil, nil
	}
	if c == "0" {
		return new(creditcore.Amount), nil
	}
	amount, err := Price(c).Amount()
	if err != nil || amount > price {
		return nil, errAbortCost
	}
	return &amount, nil
}
