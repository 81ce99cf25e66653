package meter

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/meter/price"
	"mana.how/edge/caddymodule/syntax"
)

// UnmarshalCaddyfile reads the meter's directive. Syntax:
//
//	mana_credits [<matcher>] <credits>|price <name> {
//		app       <name>
//		operation <name>
//		payer     user|org|org_then_user
//		guest     <credits>/day {
//			per_address <credits>
//			total       <credits>
//		}
//		cost_from <response header>
//		cost_tokens <price> {
//			input       <price>
//			cached      <price>
//			cache_write <price>
//			reserve     <credits>
//		}
//		settled_by edge|app
//		free_on   5xx|4xx|<status>|timeout|abort...
//		free_on   grpc <code>...
//		abort_cost <credits>|wait
//		on_outage refuse|allow
//		durability full|batched
//		receipt
//		shadow
//		hold_ttl  <duration>
//	}
//
// All faults are reported together, each with its file and line.
func (m *Meter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	p := &syntax.BlockParser{Dispenser: d, Block: "mana_credits"}
	if args := d.RemainingArgs(); len(args) == 1 {
		m.Credits = price.Price(args[0])
	} else if len(args) == 2 && args[0] == "price" && !syntax.Blank(args[1]) {
		m.PriceName = args[1]
	} else {
		p.Faultf("mana_credits: takes one price, such as 5 or 0.02, or price and a name, here are %d", len(args))
		m.Credits = "1" // so that no other fault comes of it
	}
	p.Directives(map[string]func(){
		"app":         func() { p.One(&m.App) },
		"operation":   func() { p.One(&m.Operation) },
		"payer":       func() { p.One(&m.Payer) },
		"guest":       func() { m.parseGuest(p) },
		"cost_from":   func() { p.One(&m.CostFrom) },
		"cost_tokens": func() { m.parseCostTokens(p) },
		"settled_by":  func() { p.One(&m.SettledBy) },
		"free_on":     func() { m.parseFreeOn(p) },
		"abort_cost":  func() { p.One((*string)(&m.AbortCost)) },
		"on_outage":   func() { p.One(&m.OnOutage) },
		"durability":  func() { p.One(&m.Durability) },
		"receipt":     func() { m.Receipt = m.parseSwitch(p, "receipt") },
		"shadow":      func() { m.Shadow = m.parseSwitch(p, "shadow") },
		"hold_ttl":    func() { m.parseHoldTTL(p) },
	}, "free_on")
	return errors.Join(p.Faults...)
}

// parseFreeOn reads a line of outcomes. The codes of gRPC, which may have a
// line of their own, come last in the list.
func (m *Meter) parseFreeOn(p *syntax.BlockParser) {
	var names []string
	p.Some(&names)
	outcomes, codes := m.FreeOn, []string(nil)
	if i := slices.Index(m.FreeOn, "grpc"); i >= 0 {
		outcomes, codes = m.FreeOn[:i:i], m.FreeOn[i:]
	}
	if i := slices.Index(names, "grpc"); i >= 0 {
		if outcomes = append(outcomes, names[:i]...); codes == nil {
			codes = []string{"grpc"}
		}
		if len(names[i+1:]) == 0 {
			p.Faultf("mana_credits free_on: grpc takes one code or more")
		}
		codes = append(codes, names[i+1:]...)
	} else {
		outcomes = append(outcomes, names...)
	}
	m.FreeOn = append(outcomes, codes...)
}

func (m *Meter) parseCostTokens(p *syntax.BlockParser) {
	m.CostTokens = new(TokenPrices)
	p.Arguments(&m.CostTokens.Price)
	p.Nested("cost_tokens", map[string]func(){
		"input":       func() { p.One(&m.CostTokens.Input) },
		"cached":      func() { p.One(&m.CostTokens.Cached) },
		"cache_write": func() { p.One(&m.CostTokens.CacheWrite) },
		"reserve":     func() { p.One((*string)(&m.CostTokens.Reserve)) },
	})
}

func (m *Meter) parseGuest(p *syntax.BlockParser) {
	m.Guest = new(Guest)
	var text string
	p.Arguments(&text)
	credits, ok := strings.CutSuffix(text, "/day")
	if !ok && text != "" {
		p.Faultf("mana_credits guest: %q is not a number of credits a day, such as 20/day", text)
	}
	m.Guest.Credits = price.Price(credits)
	p.Nested("guest", map[string]func(){
		"per_address": func() { p.One((*string)(&m.Guest.PerAddress)) },
		"total":       func() { p.One((*string)(&m.Guest.Total)) },
	})
}

// parseSwitch reads an option that is there or not.
func (m *Meter) parseSwitch(p *syntax.BlockParser, name string) bool {
	if len(p.RemainingArgs()) > 0 {
		p.Faultf("mana_credits %s: takes no argument", name)
	}
	p.NoBlock(name)
	return true
}

func (m *Meter) parseHoldTTL(p *syntax.BlockParser) {
	var text string
	if p.One(&text); text == "" {
		return
	}
	ttl, err := caddy.ParseDuration(text)
	if err != nil || ttl <= 0 { // 0 stands for the default in the JSON
		p.Faultf("mana_credits hold_ttl: %q is not a duration, such as 5m", text)
		return
	}
	m.HoldTTL = caddy.Duration(ttl)
}

func parseMeter(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := new(Meter)
	m.Faults = syntax.DirectiveFaults(h, m.UnmarshalCaddyfile(h.Dispenser), m)
	return m, nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Meter)(nil)
