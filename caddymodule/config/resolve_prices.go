package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"mana.how/edge/caddymodule/syntax"
	"mana.how/edge/creditcore"
)

const (
	// mostPrices bounds the prices, of which every answer of the list has all.
	mostPrices = 1000
	// mostPer bounds what a price is for.
	mostPer = 1_000_000_000
	// mostAbove bounds where a tier begins.
	mostAbove = 1_000_000_000_000
	// mostTiers and mostPlans bound the tiers of a price or plan, and the plans of a price.
	mostTiers, mostPlans = 10, 20
)

var (
	priceName    = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$`)
	priceCredits = regexp.MustCompile(`^(?:0|[1-9][0-9]*)(?:\.[0-9]{1,3})?$`)
	priceUnit    = regexp.MustCompile(`^[\p{L}][\p{L}\p{N} _-]{0,31}$`)
	planName     = regexp.MustCompile(`^[\p{L}\p{N}](?:[\p{L}\p{N} ._+-]{0,62}[\p{L}\p{N}+])?$`)
)

// PriceConfig is what something costs.
type PriceConfig struct {
	// What it is called: lower-case letters, digits, dots, hyphens and underscores,
	// such as chat.generate.
	Name string `json:"name"`
	// How many credits, above 0 and up to three decimals.
	Credits string `json:"credits"`
	// For how many of its unit: a whole number. Default: 1.
	Per string `json:"per,omitempty"`
	// What is counted, such as tokens. It is only shown.
	Unit string `json:"unit,omitempty"`
	// Other credits for what of one charge is above a quantity, each quantity higher than
	// the one before.
	Tiers []PriceTierConfig `json:"tiers,omitempty"`
	// Other credits for those who are subscribed to a plan.
	Plans []PlanPriceConfig `json:"plans,omitempty"`
}

// PriceTierConfig is what the part of a quantity costs that is above so much.
type PriceTierConfig struct {
	// The quantity: a whole number above 0.
	Above string `json:"above"`
	// How many credits, for as many of the unit as the price is for.
	Credits string `json:"credits"`
}

// PlanPriceConfig is what something costs for the subscribers of a plan.
type PlanPriceConfig struct {
	// The name of the plan, in any case.
	Plan string `json:"plan"`
	// How many credits, for as many of the unit as the price is for.
	Credits string `json:"credits"`
	// Other credits for what of one charge is above a quantity. Without them, the plan has none.
	Tiers []PriceTierConfig `json:"tiers,omitempty"`
}

// ResolvePrices resolves the prices alone, as [Config.ResolveDatabase] does the
// database.
func (c Config) ResolvePrices(env Environment) (creditcore.Prices, error) {
	r := &resolver{env: env, replacer: caddy.NewReplacer()}
	prices := r.prices(c.Prices)
	return prices, errors.Join(r.faults...)
}

// ReadPrices reads lines as the block prices of a Caddyfile has them, for the price book.
// Placeholders are not replaced: who may write prices need not know what is in the
// environment. The error joins all faults, each with the name of its price.
func ReadPrices(lines string) (creditcore.Prices, error) {
	tokens, err := caddyfile.Tokenize([]byte(lines), "line")
	if err != nil {
		return creditcore.Prices{}, err
	}
	end := 1
	for _, token := range tokens {
		if token.Text == "{" || token.Text == "}" {
			return creditcore.Prices{}, fmt.Errorf("prices: a brace has no place here, at line:%d", token.Line)
		}
		end = token.Line + 1
	}
	tokens = append(append([]caddyfile.Token{{Text: "prices"}, {Text: "{"}}, tokens...), caddyfile.Token{File: "line", Line: end, Text: "}"})
	p := block{&syntax.BlockParser{Dispenser: caddyfile.NewDispenser(tokens), Block: "prices"}}
	p.Next()
	list := p.prices()
	if len(p.Faults) > 0 {
		return creditcore.Prices{}, errors.Join(p.Faults...)
	}
	r := new(resolver)
	prices := r.readPrices(list, func(text string) string { return text })
	return prices, errors.Join(r.faults...)
}

// prices reads what things cost.
func (r *resolver) prices(list []PriceConfig) creditcore.Prices {
	return r.readPrices(list, func(text string) string { return r.expand("prices", text) })
}

// readPrices reads prices whose texts are to be expanded first. Each fault names its price.
func (r *resolver) readPrices(list []PriceConfig, expand func(string) string) creditcore.Prices {
	if len(list) > mostPrices {
		r.fault("prices", "at most %d prices, here are %d", mostPrices, len(list))
		return creditcore.Prices{}
	}
	var found []creditcore.Price
	seen := make(map[string]bool)
	for _, c := range list {
		p := creditcore.Price{Name: expand(c.Name), Per: 1, Unit: expand(c.Unit)}
		in := priceReader{r, expand, "prices " + strconv.Quote(p.Name)}
		switch {
		case !priceName.MatchString(p.Name):
			in.fault("a name is up to 64 lower-case letters, digits, dots, hyphens and underscores, such as chat.generate")
		case seen[p.Name]:
			in.fault("stands there twice")
		}
		seen[p.Name] = true
		if text := expand(c.Per); text != "" {
			var err error
			if p.Per, err = strconv.ParseInt(text, 10, 64); err != nil || p.Per < 1 || p.Per > mostPer {
				in.fault("per: %q is not a whole number from 1 to %d", text, mostPer)
			}
		}
		if p.Unit != "" && (!priceUnit.MatchString(p.Unit) || isPriceWord(p.Unit)) {
			in.fault("%q is not a unit such as tokens", p.Unit)
		}
		p.Credits, p.Tiers, p.Plans = in.credits(c.Credits), in.tiers(c.Tiers), in.plans(c.Plans)
		found = append(found, p)
	}
	return creditcore.NewPrices(found...)
}

// priceReader reads what stands at a place of the prices.
type priceReader struct {
	r      *resolver
	expand func(string) string
	at     string
}

func (p priceReader) fault(format string, args ...any) { p.r.fault(p.at, format, args...) }

// below reads what stands at a place within.
func (p priceReader) below(word, name string) priceReader {
	p.at += " " + word + " " + strconv.Quote(name)
	return p
}

func (p priceReader) credits(text string) creditcore.Amount {
	text = p.expand(text)
	credits, err := creditcore.ParseAmount(text)
	if err != nil || credits <= 0 || !priceCredits.MatchString(text) {
		p.fault("%q is not a number of credits above 0 with up to three decimals, such as 5 or 0.02", text)
	}
	return credits
}

func (p priceReader) tiers(list []PriceTierConfig) (found []creditcore.Tier) {
	if len(list) > mostTiers {
		p.fault("at most %d tiers, here are %d", mostTiers, len(list))
		return nil
	}
	last := int64(0)
	for _, c := range list {
		text := p.expand(c.Above)
		in := p.below(priceAbove, text)
		above, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil || above < 1 || above > mostAbove:
			in.fault("is not a whole number from 1 to %d", int64(mostAbove))
		case above <= last:
			in.fault("a tier begins above the one before it, which is %d", last)
		}
		last = above
		found = append(found, creditcore.Tier{Above: above, Credits: in.credits(c.Credits)})
	}
	return found
}

func (p priceReader) plans(list []PlanPriceConfig) (found []creditcore.PlanPrice) {
	if len(list) > mostPlans {
		p.fault("at most %d plans, here are %d", mostPlans, len(list))
		return nil
	}
	for _, c := range list {
		plan := creditcore.PlanPrice{Plan: p.expand(c.Plan)}
		in := p.below(pricePlan, plan.Plan)
		switch {
		case !planName.MatchString(plan.Plan):
			in.fault("is not the name of a plan")
		case slices.ContainsFunc(found, func(o creditcore.PlanPrice) bool { return strings.EqualFold(o.Plan, plan.Plan) }):
			in.fault("stands there twice")
		}
		plan.Credits, plan.Tiers = in.credits(c.Credits), in.tiers(c.Tiers)
		found = append(found, plan)
	}
	return found
}
