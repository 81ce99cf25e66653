package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// blockParser reads blocks of directives and goes on after a fault, so that
// one look at the answer shows everything there is to mend.
type blockParser struct {
	*caddyfile.Dispenser
	block  string // path of the block that is read, as "mana database"
	faults []error
}

// faultf records a fault at the present file and line. Arguments are never
// quoted in it: they may be secrets.
func (p *blockParser) faultf(format string, args ...any) {
	p.faults = append(p.faults, p.Errf(format, args...))
}

// named is how faults call a directive of the block: options of the block mana
// by their name alone.
func (p *blockParser) named(name string) string {
	if p.block == "mana" || p.block == name {
		return name
	}
	return p.block + " " + name
}

// directives reads the block that opens next, if one does. Each directive may
// stand once, but those that are lists. A parser of a directive reads its
// arguments and its own block.
func (p *blockParser) directives(known map[string]func(), lists ...string) {
	seen := make(map[string]int)
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		name := p.Val()
		parse, ok := known[name]
		switch line, repeated := seen[name], seen[name] > 0; {
		case !ok:
			p.faultf("%s has no directive %q", p.block, name)
			p.skip()
		case repeated && !slices.Contains(lists, name):
			p.faultf("%s: %s is already set in line %d", p.block, name, line)
			p.skip()
		default:
			seen[name] = p.Line()
			parse()
		}
	}
}

// nested reads the block of a directive.
func (p *blockParser) nested(name string, known map[string]func(), lists ...string) {
	outer := p.block
	p.block = outer + " " + name
	p.directives(known, lists...)
	p.block = outer
}

// one reads the single argument of the present directive.
func (p *blockParser) one(target *string) {
	name := p.Val()
	p.arguments(target)
	p.noBlock(name)
}

// arguments reads one argument for each target.
func (p *blockParser) arguments(targets ...*string) {
	name := p.Val()
	args := p.RemainingArgs()
	if slices.ContainsFunc(args, blank) {
		p.faultf("%s: is empty", p.named(name))
		return
	}
	if len(args) != len(targets) {
		wanted := "one argument"
		if len(targets) > 1 {
			wanted = fmt.Sprintf("%d arguments", len(targets))
		}
		p.faultf("%s: takes %s, here are %d", p.named(name), wanted, len(args))
		return
	}
	for i, target := range targets {
		*target = args[i]
	}
}

func blank(argument string) bool { return strings.TrimSpace(argument) == "" }

// some reads one argument or more.
func (p *blockParser) some(target *[]string) {
	name := p.Val()
	if *target = p.RemainingArgs(); len(*target) == 0 {
		p.faultf("%s: takes one argument or more", p.named(name))
	}
	p.noBlock(name)
}

// none reads a directive that is all there is to say.
func (p *blockParser) none() {
	name := p.Val()
	if len(p.RemainingArgs()) > 0 {
		p.faultf("%s: takes no arguments", p.named(name))
	}
	p.noBlock(name)
}

func (p *blockParser) noArguments() {
	name := p.Val()
	if len(p.RemainingArgs()) > 0 {
		p.faultf("%s: takes a block and no arguments", p.named(name))
	}
}

func (p *blockParser) noBlock(name string) {
	for nesting, first := p.Nesting(), true; p.NextBlock(nesting); first = false {
		if first {
			p.faultf("%s: takes no block", p.named(name))
		}
	}
}

// skip passes over the arguments and the block of a directive.
func (p *blockParser) skip() {
	p.RemainingArgs()
	for nesting := p.Nesting(); p.NextBlock(nesting); {
	}
}
