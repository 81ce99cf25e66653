package app

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/request"
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
	hosts siteHosts
}

// siteHosts are the hosts of the sites of a server.
type siteHosts struct {
	exact    map[string]bool
	patterns []string // those with `*`
	all      bool     // a site takes every host
}

func (h *siteHosts) add(site SiteFacts) {
	if len(site.hosts) == 0 {
		h.all = true
	}
	for _, host := range site.hosts {
		if strings.ContainsAny(host, "*{") {
			h.patterns = append(h.patterns, host)
		} else {
			if h.exact == nil {
				h.exact = map[string]bool{}
			}
			h.exact[host] = true
		}
	}
}

// Name is the site that takes the host as the config writes it, such as
// *.mana.how: one of few, whatever clients ask for. It is * where only a site for
// every host takes it, and empty where none does.
func (s *ServerSites) Name(host string) string {
	if s == nil {
		return ""
	}
	if host = request.HostName(host); s.hosts.exact[host] {
		return host
	}
	for _, pattern := range s.hosts.patterns {
		if hostMeets(pattern, host) {
			return pattern
		}
	}
	if s.hosts.all {
		return "*"
	}
	return ""
}

// siteNames are what [ServerSites.Name] may say, the empty one aside.
func (s *ServerSites) siteNames() []string {
	names := slices.AppendSeq(slices.Clone(s.hosts.patterns), maps.Keys(s.hosts.exact))
	if s.hosts.all {
		names = append(names, "*")
	}
	return names
}

// Has reports whether a site of the host is such a one.
func (s *ServerSites) Has(host string, is func(SiteFacts) bool) bool {
	if s == nil {
		return false
	}
	host = request.HostName(host)
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
