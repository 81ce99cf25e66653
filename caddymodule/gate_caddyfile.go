package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// UnmarshalCaddyfile reads the gate's directive. Syntax:
//
//	mana_auth [<matcher>] [optional|off] {
//		role <role>...
//		scope <scope>...
//		require verified_email
//		login redirect|never
//		paths lax
//		cache shared
//	}
//
// All faults are reported together, each with its file and line.
func (g *Gate) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	p := &blockParser{Dispenser: d, block: "mana_auth"}
	switch args := d.RemainingArgs(); {
	case len(args) == 0:
	case len(args) == 1 && args[0] == "optional":
		g.Optional = true
	case len(args) == 1 && args[0] == "off":
		g.Off = true
	default:
		p.faultf("mana_auth: takes no argument but optional or off, here are %q", args)
	}
	p.directives(map[string]func(){
		"role":    func() { p.some(&g.Roles) },
		"scope":   func() { p.some(&g.Scopes) },
		"require": func() { p.some(&g.Require) },
		"login":   func() { p.one(&g.Login) },
		"paths":   func() { p.one(&g.Paths) },
		"cache":   func() { p.one(&g.Cache) },
	})
	return errors.Join(p.faults...)
}

func parseGate(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	g := new(Gate)
	g.Faults = directiveFaults(h, g.UnmarshalCaddyfile(h.Dispenser), g)
	return g, nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Gate)(nil)
