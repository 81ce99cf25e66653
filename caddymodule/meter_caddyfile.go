package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// UnmarshalCaddyfile reads the meter's directive. Syntax:
//
//	mana_credits [<matcher>] <credits> {
//		app       <name>
//		operation <name>
//		cost_from <response header>
//		free_on   5xx|4xx|<status>|timeout|abort...
//		on_outage refuse|allow
//		shadow
//		hold_ttl  <duration>
//	}
//
// All faults are reported together, each with its file and line.
func (m *Meter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	p := &blockParser{Dispenser: d, block: "mana_credits"}
	if args := d.RemainingArgs(); len(args) == 1 {
		m.Credits = Price(args[0])
	} else {
		p.faultf("mana_credits: takes one price, such as 5 or 0.02, here are %d", len(args))
		m.Credits = "1" // so that no other fault comes of it
	}
	p.directives(map[string]func(){
		"app":       func() { p.one(&m.App) },
		"operation": func() { p.one(&m.Operation) },
		"cost_from": func() { p.one(&m.CostFrom) },
		"free_on":   func() { p.some(&m.FreeOn) },
		"on_outage": func() { p.one(&m.OnOutage) },
		"shadow":    func() { m.parseShadow(p) },
		"hold_ttl":  func() { m.parseHoldTTL(p) },
	})
	return errors.Join(p.faults...)
}

func (m *Meter) parseShadow(p *blockParser) {
	if m.Shadow = true; len(p.RemainingArgs()) > 0 {
		p.faultf("mana_credits shadow: takes no argument")
	}
	p.noBlock("shadow")
}

func (m *Meter) parseHoldTTL(p *blockParser) {
	var text string
	if p.one(&text); text == "" {
		return
	}
	ttl, err := caddy.ParseDuration(text)
	if err != nil || ttl <= 0 { // 0 stands for the default in the JSON
		p.faultf("mana_credits hold_ttl: %q is not a duration, such as 5m", text)
		return
	}
	m.HoldTTL = caddy.Duration(ttl)
}

func parseMeter(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := new(Meter)
	m.Faults = directiveFaults(h, m.UnmarshalCaddyfile(h.Dispenser), m)
	return m, nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Meter)(nil)
