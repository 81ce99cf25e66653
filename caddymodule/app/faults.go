package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/syntax"
	"mana.how/edge/creditcore"
)

// handlerPrefix begins the names of this module's handlers in a config.
const handlerPrefix = "mana_"

// newHandler makes a handler of this module by its name in a config, nil where
// the name is none of ours.
func newHandler(name string) caddy.Validator {
	if !strings.HasPrefix(name, handlerPrefix) {
		return nil
	}
	info, err := caddy.GetModule("http.handlers." + name)
	if err != nil {
		return nil
	}
	handler, _ := info.New().(caddy.Validator)
	return handler
}

// ProvisionSite finds the app for a handler: the default one if the config
// names none. Where the app or the handler is at fault, the error names the
// faults of all handlers of all sites.
func ProvisionSite(ctx caddy.Context, handler caddy.Validator) (*App, error) {
	module, err := ctx.App(syntax.AppName)
	if err != nil {
		if list := syntax.ErrorList(syntax.ErrorsIn(err.Error())); len(list) > 0 {
			return nil, list.With(sitesErrors(ctx, handler)...)
		}
		return nil, err
	}
	app := module.(*App)
	if app.faulty {
		app.sites = sitesErrors(ctx, handler)
		return nil, errAppFaulty
	}
	if named, ok := handler.(interface{ KnowPrices(creditcore.Prices) }); ok {
		named.KnowPrices(app.settings.Prices)
	}
	if handler.Validate() != nil || app.knowSites(ctx) != nil {
		return nil, sitesErrors(ctx, handler)
	}
	if naming, ok := handler.(interface{ PricesNamed() []string }); ok {
		app.namePrices(naming.PricesNamed())
	}
	return app, nil
}

// knowSites looks at all routes, before the first handler of ours is loaded.
func (a *App) knowSites(ctx caddy.Context) (err error) {
	if a.servers != nil {
		return nil
	}
	for _, module := range ctx.Modules() {
		if sites, ok := module.(*caddyhttp.App); ok {
			a.servers, err = checkRoutes(sites.Servers)
		}
	}
	return err
}

// errAppFaulty ends the provisioning of sites that an app at fault began.
var errAppFaulty = errors.New("the mana app is at fault")

// faultsOfSites has the sites looked through, for an app that is at fault
// itself. They are on their way already where a site asked for the app.
func (a *App) faultsOfSites(ctx caddy.Context) syntax.ErrorList {
	a.faulty = true
	// What else is wrong with the HTTP app does not concern this one.
	_, _ = ctx.AppIfConfigured("http")
	return a.sites
}

// sitesErrors are the faults of the handlers that the HTTP app, which is
// provisioning this one, has before it: Caddy keeps the JSON of a list of
// handlers until all of them are loaded. Those behind it had none.
func sitesErrors(ctx caddy.Context, handler caddy.Validator) (list syntax.ErrorList) {
	for _, module := range ctx.Modules() {
		if sites, ok := module.(*caddyhttp.App); ok {
			list = list.With(siteErrors(sites.Servers)...)
		}
	}
	if len(list) == 0 {
		for _, fault := range syntax.Flatten(handler.Validate()) {
			list = list.With(syntax.ErrorLine("", fault.Error()))
		}
	}
	return list
}

// siteErrors looks at the JSON of what is not loaded yet, site by site, and at
// the ways to an app that no directive guards.
func siteErrors(servers map[string]*caddyhttp.Server) (list syntax.ErrorList) {
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		lists := []caddyhttp.RouteList{server.Routes}
		if server.Errors != nil {
			lists = append(lists, server.Errors.Routes)
		}
		for _, routes := range lists {
			for _, route := range routes {
				list = list.With(routeErrors(siteName(name, server, route), route)...)
			}
		}
		for _, named := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
			list = list.With(routeErrors("&("+named+")", *server.NamedRoutes[named])...)
		}
	}
	_, around := checkRoutes(servers)
	for _, fault := range syntax.Flatten(around) {
		list = list.With(syntax.ErrorLine("", fault.Error()))
	}
	return list
}

// siteName is what a config error calls a site: its hosts, or where it listens.
func siteName(name string, server *caddyhttp.Server, route caddyhttp.Route) string {
	hosts, _ := routeMatch(route.MatcherSetsRaw)
	if len(route.MatcherSetsRaw) == 0 && len(route.MatcherSets) > 0 {
		hosts, _ = loadedMatch(route.MatcherSets)
	}
	switch {
	case len(hosts) > 0:
		return strings.Join(hosts, ", ")
	case len(server.Listen) > 0:
		return strings.Join(server.Listen, ", ")
	default:
		return name
	}
}

func routeErrors(site string, route caddyhttp.Route) (list syntax.ErrorList) {
	raw, err := json.Marshal(route)
	if err != nil {
		return syntax.ErrorList{syntax.ErrorLine(site, err.Error())}
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // prices keep their decimals
	if err := decoder.Decode(&tree); err != nil {
		return syntax.ErrorList{syntax.ErrorLine(site, err.Error())}
	}
	for _, fault := range syntax.Flatten(treeFaults(tree)) {
		list = list.With(syntax.ErrorLine(site, fault.Error()))
	}
	return list
}

// treeFaults are those of the handlers anywhere below the node.
func treeFaults(node any) error {
	var faults []error
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			faults = append(faults, syntax.Flatten(treeFaults(child))...)
		}
	case map[string]any:
		name, _ := node["handler"].(string)
		if handler := newHandler(name); handler != nil {
			return handlerFaults(name, handler, node)
		}
		for _, key := range slices.Sorted(maps.Keys(node)) {
			faults = append(faults, syntax.Flatten(treeFaults(node[key]))...)
		}
	}
	return errors.Join(faults...)
}

func handlerFaults(name string, handler caddy.Validator, object map[string]any) error {
	delete(object, "handler")
	raw, err := json.Marshal(object)
	if err == nil {
		err = caddy.StrictUnmarshalJSON(raw, handler)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return handler.Validate()
}
