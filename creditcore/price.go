package creditcore

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// mostUnits bounds where a tier begins, far from what an int64 can count in thousandths.
const mostUnits = 1_000_000_000_000

// ErrPriceUnknown means that no price has that name.
var ErrPriceUnknown = errors.New("Unknown price")

// Price is what something costs by its name: Credits for each Per of its Unit, and by
// Tiers for what of one charge is above a quantity. 0.002 credits for 1000 tokens are
// Credits 2, Per 1000 and Unit tokens. Unit is for people alone, and may be empty. Plans
// are what those pay who are subscribed to one; Plan is whose price it is, where it is
// that of such. Version is that of the price book it is of, 0 for the config's.
type Price struct {
	Name    string
	Credits Amount
	Per     int64
	Unit    string
	Tiers   []Tier
	Plans   []PlanPrice
	Plan    string
	Version int64
}

// Tier is what the part of a quantity costs that is above so much of the price's unit, up
// to the next tier: Credits for each Per of the price. Tiers stand in ascending order.
type Tier struct {
	Above   int64  `json:"above"`
	Credits Amount `json:"credits"`
}

// PlanPrice is what a price is for the subscribers of a plan, for each Per of the price.
type PlanPrice struct {
	Plan    string `json:"plan"`
	Credits Amount `json:"credits"`
	Tiers   []Tier `json:"tiers,omitempty"`
}

// String is the price as a line of the table has it: chat.token 0.002 per 1000 tokens above
// 100000 0.001 plan pro 0.0015.
func (p Price) String() string { return p.Name + " " + p.Terms() }

// Terms are the price without its name, as a line of the table has it.
func (p Price) Terms() string {
	words := []string{p.Credits.String()}
	if p.Per > 1 || p.Unit != "" {
		words = append(words, "per")
	}
	if p.Per > 1 {
		words = append(words, strconv.FormatInt(p.Per, 10))
	}
	if p.Unit != "" {
		words = append(words, quoted(p.Unit))
	}
	words = appendTiers(words, p.Tiers)
	for _, plan := range p.Plans {
		words = append(words, "plan", quoted(plan.Plan), plan.Credits.String())
		words = appendTiers(words, plan.Tiers)
	}
	return strings.Join(words, " ")
}

func appendTiers(words []string, tiers []Tier) []string {
	for _, t := range tiers {
		words = append(words, "above", strconv.FormatInt(t.Above, 10), t.Credits.String())
	}
	return words
}

// quoted is a name as one word of a line.
func quoted(name string) string {
	if strings.ContainsRune(name, ' ') {
		return `"` + name + `"`
	}
	return name
}

// For is the price for the subscribers of a plan, by its name in any case; empty for who
// has none. It has no Plans itself.
func (p Price) For(plan string) Price {
	for _, other := range p.Plans {
		if plan != "" && strings.EqualFold(other.Plan, plan) {
			p.Plan, p.Credits, p.Tiers = other.Plan, other.Credits, other.Tiers
		}
	}
	p.Plans = nil
	return p
}

// Cost is what a quantity costs. A quantity has up to three decimals, as an
// amount has; what the quotient leaves counts as another thousandth of a credit,
// so that nothing is free. It fails with [ErrInvalid] for a quantity that is not
// above zero, or whose cost is beyond [MaxAmount].
func (p Price) Cost(quantity Amount) (Amount, error) {
	if quantity <= 0 {
		return 0, fmt.Errorf("%w: quantity must be a positive number", ErrInvalid)
	}
	return CostOf(Used{p, quantity})
}

// Used is a quantity, zero or more, of what a price is for.
type Used struct {
	Price    Price
	Quantity Amount
}

// CostOf is what quantities cost together, rounded up once. It fails with
// [ErrInvalid] where that is beyond [MaxAmount].
func CostOf(list ...Used) (Amount, error) {
	cost := new(big.Rat)
	for _, used := range list {
		unit := new(big.Int).Mul(big.NewInt(max(used.Price.Per, 1)), big.NewInt(int64(Credit)))
		cost.Add(cost, new(big.Rat).SetFrac(used.perUnit(), unit))
	}
	whole, rest := new(big.Int).QuoRem(cost.Num(), cost.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsInt64() || Amount(whole.Int64()) > MaxAmount {
		return 0, fmt.Errorf("%w: quantity costs more than %s credits", ErrInvalid, MaxAmount)
	}
	return Amount(whole.Int64()), nil
}

// perUnit is the sum of what the parts of the quantity cost, each by its tier, before it is
// divided by what the price is for and by the thousandths of a quantity.
func (u Used) perUnit() *big.Int {
	sum, rest := new(big.Int), u.Quantity
	add := func(quantity, credits Amount) {
		sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(credits)), big.NewInt(int64(quantity))))
	}
	for _, t := range slices.Backward(u.Price.Tiers) {
		if above := rest - Amount(t.Above)*Credit; above > 0 {
			add(above, t.Credits)
			rest -= above
		}
	}
	add(rest, u.Price.Credits)
	return sum
}

// Prices are the prices there are, by name. The zero value has none. Two are equal
// (==) where they were made by one call.
type Prices struct{ table *[]Price }

// NewPrices sorts prices by name. Each name may stand once.
func NewPrices(list ...Price) Prices {
	if len(list) == 0 {
		return Prices{}
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Price) int { return strings.Compare(a.Name, b.Name) })
	return Prices{&list}
}

func (p Prices) list() []Price {
	if p.table == nil {
		return nil
	}
	return *p.table
}

// All are the prices in the order of their names.
func (p Prices) All() []Price { return slices.Clone(p.list()) }

// For are the prices for the subscribers of a plan, see [Price.For].
func (p Prices) For(plan string) Prices {
	all := p.All()
	for i := range all {
		all[i] = all[i].For(plan)
	}
	return NewPrices(all...)
}

// Named is the price of a name, or [ErrPriceUnknown].
func (p Prices) Named(name string) (Price, error) {
	list := p.list()
	i, ok := slices.BinarySearchFunc(list, name, func(p Price, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return Price{}, ErrPriceUnknown
	}
	return list[i], nil
}

// Over are the prices, and those of base that have another name.
func (p Prices) Over(base Prices) Prices {
	if p.table == nil || base.table == nil {
		return cmp.Or(p, base)
	}
	all := p.All()
	for _, b := range base.list() {
		if _, err := p.Named(b.Name); err != nil {
			all = append(all, b)
		}
	}
	return NewPrices(all...)
}

// String is the table as a config has it, a line a price.
func (p Prices) String() string {
	var lines strings.Builder
	for _, price := range p.list() {
		lines.WriteString(price.String() + "\n")
	}
	return lines.String()
}
