package meter

import (
	"encoding/json"
	"errors"
	"fmt"

	"mana.how/edge/caddymodule/meter/price"
	"mana.how/edge/caddymodule/meter/tokens"
	"mana.how/edge/creditcore"
)

// TokenPrices are the names of the prices of tokens.
type TokenPrices struct {
	// Of a token that comes out, and of all others that have no price of their own.
	Price string `json:"price"`

	// Of a token that goes in.
	Input string `json:"input,omitempty"`

	// Of a token that goes in and that the provider had in its cache. The default is the
	// price of one that goes in.
	Cached string `json:"cached,omitempty"`

	// Of a token that goes in and that the provider puts into its cache. The default is
	// the price of one that goes in.
	CacheWrite string `json:"cache_write,omitempty"`

	// How many credits are reserved at first, and again whenever a stream has used up what
	// was, up to what the request may cost. The default is all that it may cost.
	Reserve price.Price `json:"reserve,omitempty"`
}

// rates looks the prices up.
func (p *TokenPrices) rates(prices creditcore.Prices) (r tokens.Rates) {
	named := func(name string, or creditcore.Price) creditcore.Price {
		if name == "" {
			return or
		}
		found, _ := prices.Named(name)
		return found
	}
	r.Output = named(p.Price, creditcore.Price{})
	r.Input = named(p.Input, r.Output)
	r.Cached = named(p.Cached, r.Input)
	r.CacheWrite = named(p.CacheWrite, r.Input)
	return r
}

// reserve is what is reserved at a time of a request that may cost that much.
func (p *TokenPrices) reserve(most creditcore.Amount) (creditcore.Amount, error) {
	if p.Reserve == "" {
		return most, nil
	}
	amount, err := p.Reserve.Amount()
	if err == nil && amount > most {
		err = errors.New("is more than the request may cost")
	}
	if err != nil {
		return most, fmt.Errorf("cost_tokens: reserve: %w", err)
	}
	return amount, nil
}

// reserved is what is reserved at a time of a request that costs no more than that by now.
func (p *TokenPrices) reserved(most creditcore.Amount) creditcore.Amount {
	amount, _ := p.reserve(creditcore.MaxAmount)
	return min(amount, most)
}

// statement is what an upstream says that a request cost: the values of the header of
// cost_from, or the tokens it used.
type statement struct {
	values []string
	tokens *tokens.Usage
	cut    bool // the stream was ended, as its credits were used up
}

// cost is what the statement comes to, at most the price. ok is false where it says
// nothing sensible.
func (s statement) cost(m *Meter, by terms) (cost creditcore.Amount, ok bool) {
	switch {
	case s.tokens != nil:
		return min(by.rates.Cost(*s.tokens), by.price), true
	case m.CostFrom != "":
		return price.CostOf(s.values, by.price)
	}
	return 0, false
}

// note is what the ledger row says of a response.
type note struct {
	Status int           `json:"status"`
	Tokens *tokens.Usage `json:"tokens,omitempty"`
}

func (n note) json() json.RawMessage {
	raw, err := json.Marshal(n)
	if err != nil {
		return nil
	}
	return raw
}
