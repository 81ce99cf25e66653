package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"mana.how/edge/caddymodule/logging"
	"mana.how/edge/creditcore"
)

// namePrices notes prices that a route names, before the app is started.
func (a *App) namePrices(names []string) {
	if a.priced == nil {
		a.priced = make(map[string]bool)
	}
	for _, name := range names {
		a.priced[name] = true
	}
}

// PricesNamed are the names of the prices that routes of this config cost, in order.
func (a *App) PricesNamed() []string { return slices.Sorted(maps.Keys(a.priced)) }

// checkPrices fails where a route names a price that neither the config nor the price book
// in force has, and says in the log which prices of the config the book has otherwise. The
// book is known with the database; as long as that is awaited, such routes answer 503.
func (a *App) checkPrices(ledger *creditcore.Service) (err error) {
	for _, name := range a.PricesNamed() {
		if _, unknown := ledger.Prices().Named(name); unknown != nil {
			err = errors.Join(err, fmt.Errorf("mana_credits: price %q is neither among the prices of the mana block nor in the price book in force", name))
		}
	}
	if names, version := ledger.Overridden(); len(names) > 0 && err == nil {
		logging.Live().Warn("the price book has prices of the config otherwise, which count: see `mana-edge mana prices list`", "version", version, "prices", names)
	}
	return err
}
