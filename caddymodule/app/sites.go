package app

import (
	"encoding/json"
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// SiteFacts are what is known of a site that uses a directive of ours.
type SiteFacts struct {
	hosts       []string // in lower case; none means all
	Conditional bool     // a matcher decides about a directive
	Lax         bool     // `mana_auth { paths lax }`
	Errors      bool     // it handles errors within its routes
	names       []string // of headers that say who somebody is, as guard.FoldName writes them
}

// ServerSites are those of one server, nil where nobody has looked.
type ServerSites struct {
	list  []SiteFacts
	names bool // one of them has names of headers
}

// Has reports whether a site of the host is such a one.
func (s *ServerSites) Has(host string, is func(SiteFacts) bool) bool {
	if s == nil {
		return false
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	for _, site := range s.list {
		if is(site) && hostsMeet(site.hosts, []string{host}) {
			return true
		}
	}
	return false
}

// IdentityNames are the names of the headers by which a site of the host tells its
// app who somebody is, own among them.
func (s *ServerSites) IdentityNames(host string, own []string) []string {
	if s == nil || !s.names {
		return own
	}
	var names []string
	s.Has(host, func(site SiteFacts) bool {
		if names == nil {
			names = slices.Clip(site.names)
		} else {
			names = append(names, site.names...)
		}
		return false
	})
	if names == nil {
		return own
	}
	return names
}

// hostsMeet reports whether a request can be for one of either; none means all.
func hostsMeet(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	for _, x := range a {
		for _, y := range b {
			if hostMeets(x, y) || hostMeets(y, x) {
				return true
			}
		}
	}
	return false
}

// hostMeets reports whether the pattern, in which a label may be `*`, takes the host.
func hostMeets(pattern, host string) bool {
	if pattern == host || strings.Contains(pattern, "{") {
		return true
	}
	want, have := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(want) != len(have) {
		return false
	}
	for i, label := range want {
		if label != "*" && label != have[i] {
			return false
		}
	}
	return true
}

// routeMatch takes the matchers of a route apart: the hosts it is for, none for
// all, and whether anything else decides.
func routeMatch(sets caddyhttp.RawMatcherSets) (hosts []string, conditional bool) {
	for _, set := range sets {
		var of []string
		for name, raw := range set {
			if name != "host" || json.Unmarshal(raw, &of) != nil {
				conditional = true
			}
		}
		if len(of) == 0 {
			return nil, conditional || len(set) > 0
		}
		for _, host := range of {
			hosts = append(hosts, strings.ToLower(host))
		}
	}
	return hosts, conditional
}

// SitesOf are the sites of the server that is being provisioned.
func (a *App) SitesOf(ctx caddy.Context) *ServerSites {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return a.servers[server]
}
