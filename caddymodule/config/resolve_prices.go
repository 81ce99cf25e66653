package config

import (
	"errors"
	"regexp"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/creditcore"
)

const (
	// mostPrices bounds the prices, of which every answer of the list has all.
	mostPrices = 1000
	// mostPer bounds what a price is for.
	mostPer = 1_000_000_000
)

var (
	priceName    = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$`)
	priceCredits = regexp.MustCompile(`^(?:0|[1-9][0-9]*)(?:\.[0-9]{1,3})?$`)
	priceUnit    = regexp.MustCompile(`^[\p{L}][\p{L}\p{N} _-]{0,31}$`)
)

// ResolvePrices resolves the prices alone, as [Config.ResolveDatabase] does the
// database.
func (c Config) ResolvePrices(env Environment) (creditcore.Prices, error) {
	r := &resolver{env: env, replacer: caddy.NewReplacer()}
	prices := r.prices(c.Prices)
	return prices, errors.Join(r.faults...)
}

// prices reads what things cost. Each fault names its price.
func (r *resolver) prices(list []PriceConfig) creditcore.Prices {
	if len(list) > mostPrices {
		r.fault("prices", "at most %d prices, here are %d", mostPrices, len(list))
		return creditcore.Prices{}
	}
	var found []creditcore.Price
	seen := make(map[string]bool)
	for _, c := range list {
		p := creditcore.Price{Name: r.expand("prices", c.Name), Per: 1, Unit: r.expand("prices", c.Unit)}
		fault := func(format string, args ...any) { r.fault("prices "+strconv.Quote(p.Name), format, args...) }
		switch {
		case !priceName.MatchString(p.Name):
			fault("a name is up to 64 lower-case letters, digits, dots, hyphens and underscores, such as chat.generate")
		case seen[p.Name]:
			fault("stands there twice")
		}
		seen[p.Name] = true
		var err error
		credits := r.expand("prices", c.Credits)
		if p.Credits, err = creditcore.ParseAmount(credits); err != nil || p.Credits <= 0 || !priceCredits.MatchString(credits) {
			fault("%q is not a number of credits above 0 with up to three decimals, such as 5 or 0.02", credits)
		}
		if text := r.expand("prices", c.Per); text != "" {
			if p.Per, err = strconv.ParseInt(text, 10, 64); err != nil || p.Per < 1 || p.Per > mostPer {
				fault("per: %q is not a whole number from 1 to %d", text, mostPer)
			}
		}
		if p.Unit != "" && !priceUnit.MatchString(p.Unit) {
			fault("%q is not a unit such as tokens", p.Unit)
		}
		found = append(found, p)
	}
	return creditcore.NewPrices(found...)
}
