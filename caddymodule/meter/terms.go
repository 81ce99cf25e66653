package meter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"mana.how/edge/caddymodule/meter/tokens"
	"mana.how/edge/caddymodule/request"
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
	version   int64  // of the price book that a price is of, 0 for none
	plan      string // whose price it is, empty for that of everybody
	unknown   error  // tells a price that there is not, an [errPriceUnknown]
}

// pricedTerms are the terms by a version of the price book: of everybody, and of those who
// are subscribed to a plan that a price names, in lower case.
type pricedTerms struct {
	book creditcore.Prices
	terms
	plans map[string]terms
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

// pricesBy are the terms by a version of the price book over the prices of the config.
func (m *Meter) pricesBy(book creditcore.Prices) *pricedTerms {
	prices := book
	if m.Prices != nil {
		prices = book.Over(*m.Prices)
	}
	p := &pricedTerms{book, m.termsBy(prices.For("")), make(map[string]terms)}
	for _, name := range m.PricesNamed() {
		named, _ := prices.Named(name)
		for _, of := range named.Plans {
			if plan := strings.ToLower(of.Plan); p.plans[plan].plan == "" {
				t := m.termsBy(prices.For(plan))
				t.plan = of.Plan
				p.plans[plan] = t
			}
		}
	}
	return p
}

// termsBy are the terms by prices that are the same for all.
func (m *Meter) termsBy(prices creditcore.Prices) (t terms) {
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

// pricesNow are the terms by the version in force, or where the ledger is not there by the
// prices of the config.
func (m *Meter) pricesNow(ledger *creditcore.Service) *pricedTerms {
	var book creditcore.Prices
	if ledger != nil && (m.PriceName != "" || m.CostTokens != nil) {
		book, _ = ledger.PriceBook()
	}
	if p := m.priced.Load(); p != nil && p.book == book {
		return p
	}
	p := m.pricesBy(book)
	if p.unknown != nil && ledger != nil {
		m.Log.Error("a route names a price that neither the config nor the price book in force has: its requests are answered with 503",
			zap.Error(p.unknown), zap.String("operation", m.Operation))
	}
	m.priced.Store(p)
	return p
}

// find finds the ledger, once, and fixes what the request costs: by the plan of the user,
// whoever pays.
func (v *meteredRequest) find(ctx context.Context) {
	v.credits, v.notReady = v.ledger.Get(ctx)
	if v.notReady != nil {
		v.credits = nil
	}
	prices := v.pricesNow(v.credits)
	v.terms = prices.terms
	userID := request.Caller(ctx).UserID
	if len(prices.plans) == 0 || userID == "" || v.credits == nil {
		return
	}
	plan, err := v.credits.PlanOf(ctx, userID)
	if err != nil {
		v.notReady = err
		return
	}
	if t, ok := prices.plans[strings.ToLower(plan)]; ok && plan != "" {
		v.terms = t
	}
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
