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

// ErrPriceUnknown means that no price has that name.
var ErrPriceUnknown = errors.New("Unknown price")

// Price is what something costs by its name: Credits for each Per of its Unit.
// 0.002 credits for 1000 tokens are Credits 2, Per 1000 and Unit tokens. Unit is
// for people alone, and may be empty. Version is that of the price book it is of, 0
// for the config's.
type Price struct {
	Name    string
	Credits Amount
	Per     int64
	Unit    string
	Version int64
}

// String is the price as a line of the table has it: chat.token 0.002 per 1000 tokens.
func (p Price) String() string {
	line := p.Name + " " + p.Credits.String()
	if p.Per > 1 || p.Unit != "" {
		line += " per"
	}
	if p.Per > 1 {
		line += " " + strconv.FormatInt(p.Per, 10)
	}
	if p.Unit != "" {
		line += " " + p.Unit
	}
	return line
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
		part := new(big.Int).Mul(big.NewInt(int64(used.Price.Credits)), big.NewInt(int64(used.Quantity)))
		unit := new(big.Int).Mul(big.NewInt(max(used.Price.Per, 1)), big.NewInt(int64(Credit)))
		cost.Add(cost, new(big.Rat).SetFrac(part, unit))
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
