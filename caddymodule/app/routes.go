package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"mana.how/edge/caddymodule/guard"
)

// step is a handler of a route, loaded or still JSON.
type step struct {
	Handler        string                      `json:"handler"`
	Routes         caddyhttp.RouteList         `json:"routes"`
	Errors         *caddyhttp.HTTPErrorConfig  `json:"errors"`
	HandleResponse []caddyhttp.ResponseHandler `json:"handle_response"`
	Name           string                      `json:"name"`
	Match          caddyhttp.RawMatcherSets    `json:"match"`
	Off            bool                        `json:"off"`
	Optional       json.RawMessage             `json:"optional"` // of other handlers it may be anything
	Guest          json.RawMessage             `json:"guest"`
	Paths          string                      `json:"paths"`
	Header         json.RawMessage             `json:"header"` // of mana_auth a list
	Upstreams      []struct{ Dial string }     `json:"upstreams"`

	conditional bool     // a matcher of its own decides
	guests      bool     // it is for guests too
	names       []string // of headers that say who somebody is
}

// stepsOf are the handlers of a route. Caddy drops the JSON of a handler once
// all of its list are loaded.
func stepsOf(route caddyhttp.Route) (steps []step) {
	for _, raw := range route.HandlersRaw {
		var s step
		if json.Unmarshal(raw, &s) != nil {
			_ = json.Unmarshal(raw, &struct{ Handler *string }{&s.Handler}) // its own fields are shaped otherwise
		}
		s.conditional = len(s.Match) > 0
		s.guests = string(s.Optional) == "true" || len(s.Guest) > 0 && string(s.Guest) != "null"
		var headers []struct{ Name string }
		if s.Handler == "mana_auth" && json.Unmarshal(s.Header, &headers) == nil {
			for _, h := range headers {
				s.names = append(s.names, guard.FoldName(h.Name))
			}
		}
		steps = append(steps, s)
	}
	if len(route.HandlersRaw) > 0 {
		return steps
	}
	for _, handler := range route.Handlers {
		s := step{Handler: caddy.GetModuleName(handler)}
		if ours, ok := handler.(interface{ Conditional() bool }); ok {
			s.conditional = ours.Conditional()
		}
		if ours, ok := handler.(interface{ TakesGuests() bool }); ok {
			s.guests = ours.TakesGuests()
		}
		if ours, ok := handler.(interface{ IdentityNames() []string }); ok {
			s.names = ours.IdentityNames()
		}
		switch handler := handler.(type) {
		case *caddyhttp.Subroute:
			s.Routes, s.Errors = handler.Routes, handler.Errors
		case *reverseproxy.Handler:
			s.HandleResponse = handler.HandleResponse
			for _, upstream := range handler.Upstreams {
				s.Upstreams = append(s.Upstreams, struct{ Dial string }{upstream.Dial})
			}
		case *intercept.Intercept:
			s.HandleResponse = handler.HandleResponse
		case *caddyhttp.Invoke:
			s.Name = handler.Name
		}
		steps = append(steps, s)
	}
	return steps
}

// reaching are the handlers that hand a request to an app: Caddy's own, which
// forward_auth and php_fastcgi are made of, and those that run programs.
var reaching = []string{"reverse_proxy", "cgi", "exec", "fastcgi", "php", "python", "uwsgi"}

// met is what a request has met on its way.
type met struct {
	guard bool // a directive of ours, for all requests
	gate  bool // mana_auth
	end   bool // mana_api for all requests, behind which nothing is met
	// strict are the matchers, as JSON, by which mana_auth lets no guests pass; an empty one is
	// for all requests.
	strict []string
}

// keepsGuestsOut reports whether no guest gets to a handler.
func (m *met) keepsGuestsOut(s *step) bool {
	return slices.Contains(m.strict, "") || s.conditional && slices.Contains(m.strict, matcherOf(s))
}

// matcherOf is the matcher of a handler as JSON, empty where it has none or that is not
// known.
func matcherOf(s *step) string {
	raw, err := json.Marshal(s.Match)
	if err != nil || len(s.Match) == 0 {
		return ""
	}
	return string(raw)
}

// routeCheck walks the routes of one server as a request would.
type routeCheck struct {
	server *caddyhttp.Server
	site   string // as faults name it
	faults []error
	facts  SiteFacts
	uses   bool     // the site has a directive of ours
	open   []string // ways to an app that no guard stands in

	index    int
	terminal bool
	errors   bool // it handles errors
	depth    int
}

// walk follows a list of routes. What a route without a matcher does holds for
// those after it.
func (c *routeCheck) walk(routes caddyhttp.RouteList, where string, now met, conditional bool) met {
	if c.depth++; c.depth > 100 {
		c.depth--
		return now // a named route that invokes itself
	}
	defer func() { c.depth-- }()
	for i, route := range routes {
		_, decided := routeMatch(route.MatcherSetsRaw)
		decided = decided || route.Group != "" || len(route.MatcherSets) > 0
		after := c.steps(stepsOf(route), fmt.Sprintf("%s[%d]", where, i), now, conditional || decided)
		if hosts, _ := routeMatch(route.MatcherSetsRaw); !decided && len(hosts) == 0 {
			now = after
		} else {
			now.gate = now.gate || after.gate // it stands in front of some
		}
	}
	return now
}

func (c *routeCheck) steps(steps []step, where string, now met, conditional bool) met {
	for i, s := range steps {
		at := fmt.Sprintf("%s.handle[%d]", where, i)
		if now.end && len(s.Routes) == 0 {
			c.fault("%s has no effect, for mana_api answers every request before it (%s); give mana_api a matcher, or put each into a handle block", directiveOf(s.Handler), at)
			continue
		}
		switch {
		case newHandler(s.Handler) != nil:
			c.uses = true
			c.facts.Conditional = c.facts.Conditional || conditional || s.conditional
			c.facts.Lax = c.facts.Lax || s.Paths == "lax"
			c.facts.names = append(c.facts.names, s.names...)
			if s.Handler == "mana_credits" && !now.gate {
				c.fault("mana_credits (%s) stands behind no mana_auth, which would tell it whom to charge", at)
			}
			if s.Handler == "mana_credits" && s.guests && now.gate && now.keepsGuestsOut(&s) {
				c.fault("mana_credits (%s) has guest, but the mana_auth in front of it lets no guests pass; write mana_auth optional", at)
			}
			if matcher := matcherOf(&s); s.Handler == "mana_auth" && !s.Off && !s.guests && (matcher != "" || !s.conditional) {
				now.strict = append(slices.Clip(now.strict), matcher)
			}
			now.guard = true
			now.end = now.end || s.Handler == "mana_api" && !s.conditional
			now.gate = now.gate || s.Handler == "mana_auth" && !s.Off
		case s.Handler == "invoke":
			if named := c.server.NamedRoutes[s.Name]; named != nil {
				now = c.walk(caddyhttp.RouteList{*named}, "named route "+s.Name+" from "+at, now, conditional)
			}
		case slices.Contains(reaching, s.Handler) && !now.guard:
			target := ""
			for _, upstream := range s.Upstreams {
				target += " " + upstream.Dial
			}
			c.open = append(c.open, fmt.Sprintf("%s%s (%s)", s.Handler, target, at))
		}
		before := now
		for j, response := range s.HandleResponse {
			c.walk(response.Routes, fmt.Sprintf("%s.handle_response[%d].routes", at, j), before, conditional)
		}
		if len(s.Routes) > 0 {
			now = c.walk(s.Routes, at+".routes", now, conditional)
		}
		if s.Errors != nil {
			c.facts.Errors = true
			c.walk(s.Errors.Routes, at+".errors.routes", before, conditional)
		}
	}
	return now
}

// directiveOf is what a Caddyfile calls a handler.
func directiveOf(handler string) string {
	if handler == "static_response" {
		return "respond"
	}
	return handler
}

func (c *routeCheck) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("site "+c.site+": "+format, args...))
}

// checkRoutes finds the routes that lead a request to an app and around the
// guard. What belongs to a site is told by hosts: a route that can meet requests
// of a site belongs to it, unless another took them all before.
func checkRoutes(servers map[string]*caddyhttp.Server) (map[*caddyhttp.Server]*ServerSites, error) {
	var faults []error
	found := make(map[*caddyhttp.Server]*ServerSites)
	var guardedHosts []string
	var elsewhere []routeCheck
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		checks := checkServer(name, server)
		sites := new(ServerSites)
		for _, c := range checks {
			if c.uses {
				sites.list = append(sites.list, c.facts)
				sites.hosts.add(c.facts)
				sites.names = sites.names || len(c.facts.names) > 0
				guardedHosts = append(guardedHosts, c.facts.hosts...)
			}
			faults = append(faults, c.faults...)
		}
		for _, c := range checks {
			switch {
			case len(c.open) == 0:
			case c.uses || belongs(c, checks):
				faults = append(faults, c.around()...)
			default:
				elsewhere = append(elsewhere, c)
			}
		}
		found[server] = sites
	}
	for _, c := range elsewhere {
		// The same name at another server: the browser's cookies know no ports.
		if slices.ContainsFunc(c.facts.hosts, func(host string) bool { return isName(host) && slices.Contains(guardedHosts, host) }) {
			faults = append(faults, c.around()...)
		}
	}
	return found, errors.Join(faults...)
}

// isName reports whether a host is the name of a site, not of a machine.
func isName(host string) bool {
	return strings.Trim(host, "0123456789.") != "" && !strings.Contains(host, ":") && host != "localhost"
}

// checkServer walks each route of a server and of its errors on its own, and
// those without a host together: they are one site.
func checkServer(name string, server *caddyhttp.Server) (checks []routeCheck) {
	lists := []struct {
		routes caddyhttp.RouteList
		where  string
		errors bool
	}{{server.Routes, name + ".routes", false}}
	if server.Errors != nil {
		lists = append(lists, struct {
			routes caddyhttp.RouteList
			where  string
			errors bool
		}{server.Errors.Routes, "handle_errors, " + name + ".errors.routes", true})
	}
	for _, list := range lists {
		var now met
		for i, route := range list.routes {
			hosts, decided := routeMatch(route.MatcherSetsRaw)
			decided = decided || route.Group != ""
			if len(route.MatcherSetsRaw) == 0 && len(route.MatcherSets) > 0 {
				hosts, decided = loadedMatch(route.MatcherSets)
			}
			c := routeCheck{server: server, site: strings.Join(hosts, ", "), facts: SiteFacts{hosts: hosts}, index: i, terminal: route.Terminal, errors: list.errors}
			if c.site == "" {
				c.site = name
			}
			after := c.steps(stepsOf(route), fmt.Sprintf("%s[%d]", list.where, i), now, decided)
			if len(hosts) == 0 && !decided {
				now = after
			}
			checks = append(checks, c)
		}
	}
	return checks
}

// loadedMatch is routeMatch for matchers that Caddy has loaded: it loads all of
// a server's before the first handler.
func loadedMatch(sets caddyhttp.MatcherSets) (hosts []string, conditional bool) {
	for _, set := range sets {
		var of []string
		for _, matcher := range set {
			if host, ok := matcher.(*caddyhttp.MatchHost); ok {
				of = append(of, *host...)
			} else {
				conditional = true
			}
		}
		if len(of) == 0 {
			return nil, true
		}
		for _, host := range of {
			hosts = append(hosts, strings.ToLower(host))
		}
	}
	return hosts, conditional
}

// belongs reports whether the route can meet requests of a site that uses a
// directive of ours: it is for the same host, or for more hosts, and no other
// route took those requests before.
func belongs(c routeCheck, checks []routeCheck) bool {
	for _, other := range checks {
		switch {
		case !other.uses:
		case sameHost(c.facts.hosts, other.facts.hosts):
			return true
		case hostsTake(c.facts.hosts, other.facts.hosts) && (c.errors || c.index < other.index || !other.terminal):
			return true
		}
	}
	return false
}

func sameHost(a, b []string) bool {
	return len(a) == 0 && len(b) == 0 || slices.ContainsFunc(a, func(host string) bool { return slices.Contains(b, host) })
}

// hostsTake reports whether the patterns, none for all, take one of the hosts.
func hostsTake(patterns, hosts []string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, host := range hosts {
		if slices.ContainsFunc(patterns, func(pattern string) bool { return hostMeets(pattern, host) }) {
			return true
		}
	}
	return false
}

// around are the faults of the ways to an app that no guard stands in.
func (c *routeCheck) around() (faults []error) {
	for _, way := range c.open {
		faults = append(faults, fmt.Errorf("site %s: %s is reached around the gate; put mana_auth in front of it, or mana_auth off to let requests pass unasked", c.site, way))
	}
	return faults
}
