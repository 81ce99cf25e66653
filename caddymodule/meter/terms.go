package meter

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"mana.how/edge/caddymodule/meter/tokens"
	"mana.how/edge/creditcore"
)

// errPriceUnknown means that the route names a price that neither the config nor the price
// book in force has.
var errPriceUnknown = errors.New("there is no price of the name")

// terms are what requests cost by the prices of a moment. A request keeps those that it
// began with.
type terms struct {
	price     creditcore.Amount // the most that a request costs
	hold      creditcore.Amount // what is reserved of it at first
	rates     *tokens.Rates     // nil without cost_tokens
	abortCost *creditcore.Amount
	version   int64 // of the price book that a price is of, 0 for none
	unknown   error // tells a price that there is not, an [errPriceUnknown]
}

// pricedTerms are the terms by a version of the price book.
type pricedTerms struct {
	book creditcore.Prices
	terms
}

// PricesNamed are the names of the prices that requests cost.
func (m *Meter) PricesNamed() []string {
	var names []string
	if m.PriceName != "" {
		names = append(names, m.PriceName)
	}
	if m.CostTokens != nil {
		for _, name := range []string{m.CostTokens.Price, m.CostTokens.Input, m.CostTokens.Cached, m.CostTokens.CacheWrite} {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// termsBy are the terms by a version of the price book over the prices of the config.
func (m *Meter) termsBy(book creditcore.Prices) (t terms) {
	prices := book
	if m.Prices != nil {
		prices = book.Over(*m.Prices)
	}
	for _, name := range m.PricesNamed() {
		named, err := prices.Named(name)
		if err != nil {
			t.unknown = errors.Join(t.unknown, fmt.Errorf("%w: %q", errPriceUnknown, name))
		}
		t.version = max(t.version, named.Version)
	}
	if m.PriceName == "" {
		t.price, _ = m.Credits.Amount()
	} else if named, err := prices.Named(m.PriceName); err == nil {
		t.price, _ = named.Cost(creditcore.Credit)
	}
	t.hold = t.price
	if m.CostTokens != nil {
		rates := m.CostTokens.rates(prices)
		t.rates = &rates
		t.hold = m.CostTokens.reserved(t.price)
	}
	if t.abortCost, _ = m.AbortCost.Amount(creditcore.MaxAmount); t.abortCost != nil {
		*t.abortCost = min(*t.abortCost, t.price)
	}
	return t
}

// termsNow are the terms by the version in force, or where the ledger is not there by the
// prices of the config.
func (m *Meter) termsNow(ledger *creditcore.Service) terms {
	var book creditcore.Prices
	if ledger != nil && (m.PriceName != "" || m.CostTokens != nil) {
		book, _ = ledger.PriceBook()
	}
	if p := m.priced.Load(); p != nil && p.book == book {
		return p.terms
	}
	p := &pricedTerms{book, m.termsBy(book)}
	if p.unknown != nil && ledger != nil {
		m.Log.Error("a route names a price that neither the config nor the price book in force has: its requests are answered with 503",
			zap.Error(p.unknown), zap.String("operation", m.Operation))
	}
	m.priced.Store(p)
	return p.terms
}

// find finds the ledger, once, and fixes what the request costs.
func (v *meteredRequest) find(ctx context.Context) {
	v.credits, v.notReady = v.ledger.Get(ctx)
	if v.notReady != nil {
		v.credits = nil
	}
	v.terms = v.termsNow(v.credits)
}

// joined has the request cost what is held under its key, where a price was another one
// when that was reserved.
func (v *meteredRequest) joined(hold creditcore.Held) {
	if hold.Amount == v.hold {
		return
	}
	if v.hold == v.price {
		v.price = hold.Amount
	}
	v.hold = hold.Amount
}
