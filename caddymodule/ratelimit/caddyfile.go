package ratelimit

import (
	"errors"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/syntax"
)

// UnmarshalCaddyfile reads the rate limit's directive. Syntax:
//
//	mana_rate_limit [<matcher>] <requests>/<duration> {
//		key ip|user|api_key
//		key header <name>
//	}
//
// All faults are reported together, each with its file and line.
func (l *RateLimit) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // directive name
	p := &syntax.BlockParser{Dispenser: d, Block: "mana_rate_limit"}
	if args := d.RemainingArgs(); len(args) == 1 {
		l.parseRate(p, args[0])
	} else {
		p.Faultf("mana_rate_limit: takes one rate, such as 100/1m, here are %d", len(args))
		l.Limit, l.Window = 1, caddy.Duration(time.Second) // so that no other fault comes of it
	}
	p.Directives(map[string]func(){"key": func() { l.parseKey(p) }})
	return errors.Join(p.Faults...)
}

func (l *RateLimit) parseRate(p *syntax.BlockParser, rate string) {
	limit, duration, err := syntax.ParseRate(rate)
	if err != nil {
		p.Faultf("mana_rate_limit: %v", err)
		limit, duration = 1, time.Second // so that no other fault comes of it
	}
	l.Limit, l.Window = limit, caddy.Duration(duration)
}

func (l *RateLimit) parseKey(p *syntax.BlockParser) {
	args := p.RemainingArgs()
	switch {
	case len(args) == 2 && args[0] == "header":
		l.Key, l.Header = args[0], args[1]
	case len(args) == 1 && args[0] != "header":
		l.Key = args[0]
	default:
		p.Faultf("mana_rate_limit key: takes ip, user, api_key or header <name>")
	}
	p.NoBlock("key")
}

// parseRateLimit gives every directive of a Caddyfile a zone of its own: its
// number, which stays the same over reloads of the same file.
func parseRateLimit(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	l := new(RateLimit)
	l.Faults = syntax.DirectiveFaults(h, l.UnmarshalCaddyfile(h.Dispenser), l)
	const state = "mana_rate_limit.zones"
	zone, _ := h.State[state].(int)
	h.State[state] = zone + 1
	l.Zone = strconv.Itoa(zone + 1)
	return l, nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*RateLimit)(nil)
