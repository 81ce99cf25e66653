package config

import (
	"maps"
	"slices"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/syntax"
)

// limits reads how often routes may be called. Whether there are routes of these
// names the API knows.
func (r *resolver) limits(rates map[string]string) map[string]endpoint.Limit {
	if len(rates) == 0 {
		return nil
	}
	limits := make(map[string]endpoint.Limit, len(rates))
	for _, name := range slices.Sorted(maps.Keys(rates)) {
		directive := "limits " + name
		text := r.expand(directive, rates[name])
		if text == "off" {
			limits[name] = endpoint.Limit{}
			continue
		}
		count, period, err := syntax.ParseRate(text)
		switch {
		case err != nil:
			r.fault(directive, "%v, nor off", err)
		case count < 1:
			r.fault(directive, "%d requests are less than one; off takes the limit away", count)
		case period < time.Second:
			r.fault(directive, "%v is shorter than a second", period)
		}
		limits[name] = endpoint.Limit{Count: count, Period: period}
	}
	return limits
}
