package gate

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/syntax"
)

// UnmarshalCaddyfile reads the gate's directive. Syntax:
//
//	mana_auth [<matcher>] [optional|off] {
//		role <role>...
//		scope <scope>...
//		audience <audience>...
//		require verified_email
//		max_age <duration>
//		amr     <method>...
//		org any|<id>...
//		org_role <role>...
//		headers name|picture...
//		header  <name> <value>
//		assertion [<audience>]
//		login redirect|never
//		paths lax
//		cache shared
//	}
//
// All faults are reported together, each with its file and line.
func (g *Gate) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	p := &syntax.BlockParser{Dispenser: d, Block: "mana_auth"}
	switch args := d.RemainingArgs(); {
	case len(args) == 0:
	case len(args) == 1 && args[0] == "optional":
		g.Optional = true
	case len(args) == 1 && args[0] == "off":
		g.Off = true
	default:
		p.Faultf("mana_auth: takes no argument but optional or off, here are %q", args)
	}
	p.Directives(map[string]func(){
		"role":     func() { p.Some(&g.Roles) },
		"scope":    func() { p.Some(&g.Scopes) },
		"audience": func() { p.Some(&g.Audiences) },
		"require":  func() { p.Some(&g.Require) },
		"max_age": func() {
			var text string
			p.One(&text)
			age, err := caddy.ParseDuration(text)
			if err != nil || age <= 0 {
				p.Faultf("mana_auth: max_age: %q is no duration above zero, like 15m", text)
			}
			g.MaxAge = caddy.Duration(age)
		},
		"amr":      func() { p.Some(&g.AMR) },
		"org":      func() { p.Some(&g.Orgs) },
		"org_role": func() { p.Some(&g.OrgRoles) },
		"headers":  func() { p.Some(&g.Headers) },
		"header": func() {
			var h NamedHeader
			p.Arguments(&h.Name, &h.Value)
			p.NoBlock("header")
			g.Header = append(g.Header, h)
		},
		"assertion": func() {
			g.Assertion = new(Assertion)
			switch args := p.RemainingArgs(); {
			case len(args) == 1 && !syntax.Blank(args[0]):
				g.Assertion.Audience = args[0]
			case len(args) > 0:
				p.Faultf("mana_auth assertion: takes one audience at most, here are %d", len(args))
			}
			p.NoBlock("assertion")
		},
		"login": func() { p.One(&g.Login) },
		"paths": func() { p.One(&g.Paths) },
		"cache": func() { p.One(&g.Cache) },
	}, "header")
	return errors.Join(p.Faults...)
}

func parseGate(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	g := new(Gate)
	g.Faults = syntax.DirectiveFaults(h, g.UnmarshalCaddyfile(h.Dispenser), g)
	return g, nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Gate)(nil)
