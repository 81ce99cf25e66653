package tokens

import "mana.how/edge/creditcore"

// Rates are what tokens cost, by what became of them.
type Rates struct{ Input, Cached, CacheWrite, Output creditcore.Price }

// Cost is what a usage costs, with what is left over of a thousandth of a credit
// rounded up once, and at most [creditcore.MaxAmount].
func (r Rates) Cost(u Usage) creditcore.Amount {
	tokens := func(n int64) creditcore.Amount { return creditcore.Amount(n) * creditcore.Credit }
	cost, err := creditcore.CostOf(
		creditcore.Used{Price: r.Input, Quantity: tokens(u.Input)},
		creditcore.Used{Price: r.Cached, Quantity: tokens(u.Cached)},
		creditcore.Used{Price: r.CacheWrite, Quantity: tokens(u.CacheWrite)},
		creditcore.Used{Price: r.Output, Quantity: tokens(u.Output)},
	)
	if err != nil {
		return creditcore.MaxAmount
	}
	return cost
}
