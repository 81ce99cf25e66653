package syntax

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// LocateErrors adds file and line to config errors that lack them: what is
// judged when a config is loaded is known by the names of options and sites
// alone.
func LocateErrors(list []string, file string) []string {
	if file == "" {
		return list
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return list
	}
	blocks, err := caddyfile.Parse(file, text)
	if err != nil {
		return list
	}
	located := make([]string, len(list))
	for i, line := range list {
		located[i] = line
		if token := locate(line, blocks); token != nil {
			located[i] = fmt.Sprintf("%s:%d: %s", token.File, token.Line, line)
		}
	}
	return located
}

var (
	ofOption = regexp.MustCompile(`^mana: ([a-z_]+)(?:[ :]+([a-z_]+))?`)
	ofSite   = regexp.MustCompile(`^site ([^\s,:]+)(?:[^:]*): ([a-z_]+) ?(\S*)`)
)

// locate finds the option of the mana block, or the directive of a site, and
// the site's address where more than one may be meant.
func locate(line string, blocks []caddyfile.ServerBlock) *caddyfile.Token {
	if m := ofOption.FindStringSubmatch(line); m != nil {
		for _, block := range blocks {
			for _, segment := range block.Segments {
				if len(block.Keys) == 0 && segment.Directive() == AppName {
					return locateOption(segment, m[1:])
				}
			}
		}
	}
	if m := ofSite.FindStringSubmatch(line); m != nil {
		for _, block := range blocks {
			for _, key := range block.Keys {
				if namesHost(key.Text, m[1]) {
					if token := locateDirective(block, m[2], m[3]); token != nil {
						return token
					}
					return &key
				}
			}
		}
	}
	return nil
}

// locateDirective finds the only directive of the name in the block, or the
// only one with the argument.
func locateDirective(block caddyfile.ServerBlock, name, argument string) *caddyfile.Token {
	var named, exact []*caddyfile.Token
	for _, segment := range block.Segments {
		for i, token := range segment {
			if token.Text != name || i > 0 && segment[i-1].Line == token.Line {
				continue
			}
			named = append(named, &segment[i])
			if i+1 < len(segment) && segment[i+1].Text == argument {
				exact = append(exact, &segment[i])
			}
		}
	}
	switch {
	case len(named) == 1:
		return named[0]
	case len(exact) == 1:
		return exact[0]
	default:
		return nil
	}
}

// locateOption goes as deep into the block as the names lead.
func locateOption(segment caddyfile.Segment, names []string) *caddyfile.Token {
	found := &segment[0]
	depth, wanted := 0, 1
	for i, token := range segment {
		switch token.Text {
		case "{":
			depth++
		case "}":
			depth--
			if wanted > 1 && depth < wanted {
				return found // the end of the option's own block
			}
		default:
			first := i > 0 && (token.Line != segment[i-1].Line || token.File != segment[i-1].File)
			if !first || depth != wanted {
				continue
			}
			if wanted > 1 && depth < wanted || len(names) < wanted {
				return found
			}
			if token.Text == names[wanted-1] {
				found = &segment[i]
				if wanted++; wanted > len(names) || names[wanted-1] == "" {
					return found
				}
			}
		}
	}
	return found
}

// namesHost reports whether the address of a site is for the host.
func namesHost(address, host string) bool {
	address = strings.TrimSuffix(address, ",")
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	address, _, _ = strings.Cut(address, "/")
	if i := strings.LastIndexByte(address, ':'); i >= 0 && !strings.HasSuffix(address, "]") {
		address = address[:i]
	}
	return strings.EqualFold(address, host)
}
