// Package origin decides which sites are trusted: with credentials, with
// requests across origins, as targets of redirects.
package origin

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// origin is scheme, host and port (RFC 6454, section 4), the host in lower
// case ASCII and the port never empty.
type origin struct {
	scheme string
	host   string
	port   uint16
}

// List is the list of trusted origins, which decides on CORS, CSRF and
// redirect targets. The zero value trusts none.
type List struct {
	base      origin
	exact     map[origin]struct{}
	apps      map[string]struct{} // such as capacitor://localhost
	wildcards []origin            // host is the suffix, from its dot on
}

// Parse reads the base URL, which is trusted too, and patterns of the
// form scheme://host[:port]. The scheme is http or https; without a port it
// is the scheme's own; "*" as the leftmost label stands for one or more
// labels below a domain that is no public suffix. Another scheme is that of an
// app, such as capacitor://localhost: its web views are trusted by that exact
// origin, and nobody is ever sent there. Every faulty pattern has its error, and
// the rest are used.
func Parse(baseURL string, patterns []string) (List, []error) {
	o := List{exact: make(map[origin]struct{}), apps: make(map[string]struct{})}
	var faults []error
	base, err := parsePattern(baseURL)
	if err != nil || base.host[0] == '.' {
		faults = append(faults, fmt.Errorf("base URL %q is not scheme://host[:port]", baseURL))
	} else {
		o.base = base
		o.exact[base] = struct{}{}
	}
	for _, pattern := range patterns {
		if app, ok := appOrigin(strings.TrimSuffix(pattern, "/")); ok {
			o.apps[app] = struct{}{}
			continue
		}
		p, err := parsePattern(pattern)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%q: %w", pattern, err))
		case p.host[0] == '.':
			o.wildcards = append(o.wildcards, p)
		default:
			o.exact[p] = struct{}{}
		}
	}
	return o, faults
}

// Trusts reports whether the value of an Origin header is trusted. "null" is
// not, nor is anything that is not exactly scheme://host[:port].
func (o List) Trusts(value string) bool {
	if parsed, ok := parseOrigin(value); ok {
		return o.trusts(parsed)
	}
	_, app := o.apps[value]
	return app
}

// activeSchemes are no app's: they run or read something, or are the network's.
var activeSchemes = map[string]bool{
	"http": true, "https": true, "javascript": true, "data": true, "vbscript": true, "file": true, "blob": true,
	"filesystem": true, "about": true, "view-source": true, "ws": true, "wss": true, "ftp": true, "null": true,
}

var appPattern = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://([a-z0-9][a-z0-9._-]*)$`)

// appOrigin reads the origin of an app's web view: a scheme of its own and a
// name, in lower case as web views send it.
func appOrigin(pattern string) (string, bool) {
	pattern = strings.ToLower(pattern)
	parts := appPattern.FindStringSubmatch(pattern)
	return pattern, parts != nil && !activeSchemes[parts[1]]
}

// IsBase reports whether the value of an Origin header is that of the base URL.
func (o List) IsBase(value string) bool {
	parsed, ok := parseOrigin(value)
	return ok && parsed == o.base
}

func (o List) trusts(candidate origin) bool {
	if _, ok := o.exact[candidate]; ok {
		return true
	}
	for _, w := range o.wildcards {
		if candidate.scheme == w.scheme && candidate.port == w.port &&
			len(candidate.host) > len(w.host) && strings.HasSuffix(candidate.host, w.host) {
			return true
		}
	}
	return false
}

// String is the origin as browsers serialise it.
func (o origin) String() string {
	if o.port == defaultPort(o.scheme) {
		return o.scheme + "://" + o.host
	}
	return o.scheme + "://" + o.host + ":" + strconv.Itoa(int(o.port))
}

func defaultPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// singleLabelZones are the top-level domains under which a wildcard may stand
// directly: nobody sells names there (RFC 6761, RFC 6762).
var singleLabelZones = map[string]bool{"localhost": true, "test": true, "local": true, "internal": true}

// parsePattern reads a pattern of the list. The host of a wildcard begins with
// a dot. A single slash at the end is forgiven, and names may be in Unicode.
func parsePattern(pattern string) (origin, error) {
	scheme, authority, found := strings.Cut(strings.TrimSuffix(pattern, "/"), "://")
	if !found {
		return origin{}, errors.New("is not scheme://host[:port]")
	}
	rest, wildcard := strings.CutPrefix(authority, "*.")
	if strings.Contains(rest, "*") {
		return origin{}, errors.New(`"*" may only be the leftmost label, followed by a domain`)
	}
	rest, err := ASCIIHost(rest)
	if err != nil {
		return origin{}, err
	}
	o, ok := parseOrigin(scheme + "://" + rest)
	if !ok {
		return origin{}, errors.New("is not scheme://host[:port] with http or https, nor the origin of an app such as capacitor://localhost")
	}
	if !wildcard {
		return o, nil
	}
	if _, err := netip.ParseAddr(o.host); err == nil || o.host[0] == '[' {
		return origin{}, errors.New(`"*" needs a domain, not an address`)
	}
	if suffix, _ := publicsuffix.PublicSuffix(o.host); suffix == o.host && !singleLabelZones[o.host] {
		return origin{}, fmt.Errorf(`"*" over the whole of %q is too wide: anyone may have a name there`, o.host)
	}
	o.host = "." + o.host
	return o, nil
}

// ASCIIHost turns the name in host[:port] into its ASCII form (RFC 5891) and
// leaves everything else as it is.
func ASCIIHost(authority string) (string, error) {
	for i := range len(authority) {
		if authority[i] < 0x80 {
			continue
		}
		host, port, _ := strings.Cut(authority, ":")
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", fmt.Errorf("is not a domain name: %w", err)
		}
		return ascii + authority[len(host):len(authority)-len(port)] + port, nil
	}
	return authority, nil
}

// parseOrigin reads scheme://host[:port] and nothing else: no path, no user,
// no blank, no name in Unicode, no dot at the end of a name.
func parseOrigin(value string) (origin, bool) {
	scheme, authority, found := strings.Cut(value, "://")
	scheme = strings.ToLower(scheme)
	if !found || (scheme != "http" && scheme != "https") {
		return origin{}, false
	}
	o := origin{scheme: scheme, port: defaultPort(scheme)}
	host, port := authority, ""
	if colon := strings.LastIndexByte(authority, ':'); colon > strings.LastIndexByte(authority, ']') {
		host, port = authority[:colon], authority[colon+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return origin{}, false
		}
		o.port = uint16(n)
	}
	if inner, isLiteral := strings.CutPrefix(host, "["); isLiteral {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || host[len(host)-1] != ']' {
			return origin{}, false
		}
		o.host = "[" + addr.String() + "]"
		return o, true
	}
	o.host = strings.ToLower(host)
	return o, validHost(o.host)
}

// validHost reports whether a host in lower case is an IPv4 address, or labels
// of letters, digits, hyphens and underscores. A last label that begins with a
// digit would be an address to browsers, in one of its odd spellings.
func validHost(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" || len(host) > 253 {
		return false
	}
	if last[0] >= '0' && last[0] <= '9' {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.Is4()
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
