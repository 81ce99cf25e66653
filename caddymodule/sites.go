package caddymodule

import (
	"encoding/json"
	"net"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// siteFacts are what is known of a site that uses a directive of ours.
type siteFacts struct {
	hosts       []string // in lower case; none means all
	conditional bool     // a matcher decides about a directive
	lax         bool     // `mana_auth { paths lax }`
	errors      bool     // it handles errors within its routes
}

// serverSites are those of one server, nil where nobody has looked.
type serverSites struct{ list []siteFacts }

// has reports whether a site of the host is such a one.
func (s *serverSites) has(host string, is func(siteFacts) bool) bool {
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

// sitesOf are the sites of the server that is being provisioned.
func (a *App) sitesOf(ctx caddy.Context) *serverSites {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return a.servers[server]
}
