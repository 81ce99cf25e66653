package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// router finds the route of a method and path. Unlike http.ServeMux it answers
// no redirects and no 405: a method that a path lacks is as unknown as a path.
type router struct {
	fixed   map[string]*route // "METHOD /path"
	pattern map[string][]*patternRoute
}

// patternRoute is a route with parameters: its segments, a parameter's empty.
type patternRoute struct {
	*route
	segments []string
}

func newRouter(table []*route) *router {
	rr := &router{fixed: make(map[string]*route), pattern: make(map[string][]*patternRoute)}
	for _, rt := range table {
		if !strings.Contains(rt.path, "{") {
			rr.fixed[rt.method+" "+rt.path] = rt
			continue
		}
		segments := strings.Split(rt.path, "/")
		for i, s := range segments {
			if strings.HasPrefix(s, "{") {
				segments[i] = ""
			}
		}
		rr.pattern[rt.method] = append(rr.pattern[rt.method], &patternRoute{rt, segments})
	}
	return rr
}

// match returns the route and the values of its parameters in order, or nil.
// HEAD finds the routes of GET; one trailing slash is ignored. A parameter is
// one segment, decoded after the path was split, and not empty.
func (rr *router) match(method, escapedPath string) (*route, []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path := escapedPath
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if rt := rr.fixed[method+" "+path]; rt != nil {
		return rt, nil
	}
	if len(rr.pattern[method]) == 0 {
		return nil, nil
	}
	segments := strings.Split(path, "/")
	for _, p := range rr.pattern[method] {
		if params, ok := p.match(segments); ok {
			return p.route, params
		}
	}
	return nil, nil
}

func (p *patternRoute) match(segments []string) (params []string, ok bool) {
	if len(segments) != len(p.segments) {
		return nil, false
	}
	for i, want := range p.segments {
		if i == 0 {
			if segments[0] != "" {
				return nil, false
			}
			continue
		}
		if want != "" {
			if segments[i] != want {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" {
			return nil, false
		}
		params = append(params, value)
	}
	return params, true
}

// methods lists what a path answers to, for OPTIONS.
func (rr *router) methods(escapedPath string) []string {
	var found []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if rt, _ := rr.match(m, escapedPath); rt != nil {
			found = append(found, m)
		}
	}
	if slices.Contains(found, http.MethodGet) {
		found = append(found, http.MethodHead)
	}
	return found
}
