package endpoint

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// router finds the route of a method and path in chi's tree. http.ServeMux
// would not do: it redirects paths that are not clean, and decodes the segments
// that a route spells out, where this API knows one spelling of each.
type router struct {
	tree   *chi.Mux
	routes map[string]*Route // by "METHOD pattern"
}

func newRouter(table []Route) (*router, error) {
	rr := &router{chi.NewMux(), make(map[string]*Route)}
	for i := range table {
		rt := &table[i]
		key := rt.Method + " " + rt.Path
		if rr.routes[key] != nil {
			return nil, fmt.Errorf("endpoint: two routes for %s", key)
		}
		rr.routes[key] = rt
		rr.tree.Method(rt.Method, rt.Path, http.NotFoundHandler()) // found by Match, never served
	}
	return rr, nil
}

// match returns the route and the values of its parameters in order, or nil.
// HEAD finds the routes of GET; one trailing slash is ignored. A parameter is
// one segment, decoded after the path was split, and not empty.
func (rr *router) match(method, escapedPath string) (*Route, []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path := escapedPath
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	found := chi.NewRouteContext()
	pattern := rr.tree.Find(found, method, path)
	rt := rr.routes[method+" "+pattern]
	if rt == nil {
		return nil, nil
	}
	params := slices.Clone(found.URLParams.Values)
	for i, segment := range params {
		value, err := url.PathUnescape(segment)
		if err != nil || value == "" {
			return nil, nil
		}
		params[i] = value
	}
	return rt, params
}

// methods lists what a path answers to.
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
