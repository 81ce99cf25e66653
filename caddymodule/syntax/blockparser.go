package syntax

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// BlockParser reads blocks of directives and goes on after a fault, so that
// one look at the answer shows everything there is to mend.
type BlockParser struct {
	*caddyfile.Dispenser
	Block  string // path of the block that is read, as "mana database"
	Faults []error
}

// Faultf records a fault at the present file and line. Arguments are never
// quoted in it: they may be secrets.
func (p *BlockParser) Faultf(format string, args ...any) {
	p.Faults = append(p.Faults, p.Errf(format, args...))
}

// named is how faults call a directive of the block: options of the block mana
// by their name alone.
func (p *BlockParser) named(name string) string {
	if p.Block == "mana" || p.Block == name {
		return name
	}
	return p.Block + " " + name
}

// Directives reads the block that opens next, if one does. Each directive may
// stand once, but those that are lists. A parser of a directive reads its
// arguments and its own block.
func (p *BlockParser) Directives(known map[string]func(), lists ...string) {
	seen := make(map[string]int)
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		name := p.Val()
		parse, ok := known[name]
		switch line, repeated := seen[name], seen[name] > 0; {
		case !ok:
			p.Faultf("%s has no directive %q", p.Block, name)
			p.skip()
		case repeated && !slices.Contains(lists, name):
			p.Faultf("%s: %s is already set in line %d", p.Block, name, line)
			p.skip()
		default:
			seen[name] = p.Line()
			parse()
		}
	}
}

// Nested reads the block of a directive.
func (p *BlockParser) Nested(name string, known map[string]func(), lists ...string) {
	outer := p.Block
	p.Block = outer + " " + name
	p.Directives(known, lists...)
	p.Block = outer
}

// One reads the single argument of the present directive.
func (p *BlockParser) One(target *string) {
	name := p.Val()
	p.Arguments(target)
	p.NoBlock(name)
}

// Arguments reads one argument for each target.
func (p *BlockParser) Arguments(targets ...*string) {
	name := p.Val()
	args := p.RemainingArgs()
	if slices.ContainsFunc(args, Blank) {
		p.Faultf("%s: is empty", p.named(name))
		return
	}
	if len(args) != len(targets) {
		wanted := "one argument"
		if len(targets) > 1 {
			wanted = fmt.Sprintf("%d arguments", len(targets))
		}
		p.Faultf("%s: takes %s, here are %d", p.named(name), wanted, len(args))
		return
	}
	for i, target := range targets {
		*target = args[i]
	}
}

// Blank reports whether an argument says nothing.
func Blank(argument string) bool { return strings.TrimSpace(argument) == "" }

// Some reads one argument or more.
func (p *BlockParser) Some(target *[]string) {
	name := p.Val()
	if *target = p.RemainingArgs(); len(*target) == 0 {
		p.Faultf("%s: takes one argument or more", p.named(name))
	}
	p.NoBlock(name)
}

// More adds one argument or more to a list: the directive may be repeated.
func (p *BlockParser) More(target *[]string) {
	var more []string
	p.Some(&more)
	*target = append(*target, more...)
}

// None reads a directive that is all there is to say.
func (p *BlockParser) None() {
	name := p.Val()
	if len(p.RemainingArgs()) > 0 {
		p.Faultf("%s: takes no arguments", p.named(name))
	}
	p.NoBlock(name)
}

// NoArguments refuses arguments of the block itself.
func (p *BlockParser) NoArguments() {
	name := p.Val()
	if len(p.RemainingArgs()) > 0 {
		p.Faultf("%s: takes a block and no arguments", p.named(name))
	}
}

// NoBlock refuses a block behind the named option.
func (p *BlockParser) NoBlock(name string) {
	for nesting, first := p.Nesting(), true; p.NextBlock(nesting); first = false {
		if first {
			p.Faultf("%s: takes no block", p.named(name))
		}
	}
}

// skip passes over the arguments and the block of a directive.
func (p *BlockParser) skip() {
	p.RemainingArgs()
	for nesting := p.Nesting(); p.NextBlock(nesting); {
	}
}
