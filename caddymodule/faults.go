package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Faults are what is wrong with one block of a Caddyfile, each with its file and
// line. They travel in the JSON, because an adapter stops at the first error:
// so a config is refused once, with all that is to be mended in it, when it is
// provisioned.
type Faults []string

// faultsOf takes joined errors apart.
func faultsOf(err error) (faults Faults) {
	for _, fault := range flatten(err) {
		faults = append(faults, fault.Error())
	}
	return faults
}

// directiveFaults are those of a directive in a site: what its parser found, and
// what the handler finds wrong with its values.
func directiveFaults(h httpcaddyfile.Helper, syntax error, handler caddy.Validator) Faults {
	faults := faultsOf(syntax)
	for _, fault := range flatten(handler.Validate()) {
		seekOption(h.Dispenser, fault)
		faults = append(faults, h.WrapErr(fault).Error())
	}
	return faults
}

var optionOf = regexp.MustCompile(`^mana_[a-z_]+: ([a-z_]+):`)

// seekOption goes to the option of the directive that the error begins with,
// and to the directive itself where that is not written.
func seekOption(d *caddyfile.Dispenser, fault error) {
	d.Reset()
	d.Next()
	if m := optionOf.FindStringSubmatch(fault.Error()); m != nil {
		for line := d.Line(); d.Next(); line = d.Line() {
			if d.Val() == m[1] && d.Line() != line {
				return
			}
		}
	}
	d.Reset()
	d.Next()
}

func (f Faults) err() error {
	var faults []error
	for _, text := range f {
		faults = append(faults, errors.New(text))
	}
	return errors.Join(faults...)
}

// siteHandlers make the handlers of this module, by their names in a config.
var siteHandlers = map[string]func() caddy.Validator{
	"mana_api":        func() caddy.Validator { return new(API) },
	"mana_auth":       func() caddy.Validator { return new(Gate) },
	"mana_credits":    func() caddy.Validator { return new(Meter) },
	"mana_rate_limit": func() caddy.Validator { return new(RateLimit) },
}

// provisionSite finds the app for a handler: the default one if the config
// names none. Where the app or the handler is at fault, the error names the
// faults of all handlers of all sites.
func provisionSite(ctx caddy.Context, handler caddy.Validator) (*App, error) {
	module, err := ctx.App(appName)
	if err != nil {
		if list := configErrors(ConfigErrorsIn(err.Error())); len(list) > 0 {
			return nil, list.with(sitesErrors(ctx, handler)...)
		}
		return nil, err
	}
	app := module.(*App)
	if app.faulty {
		app.sites = sitesErrors(ctx, handler)
		return nil, errAppFaulty
	}
	if handler.Validate() != nil || app.knowSites(ctx) != nil {
		return nil, sitesErrors(ctx, handler)
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
func (a *App) faultsOfSites(ctx caddy.Context) configErrors {
	a.faulty = true
	// What else is wrong with the HTTP app does not concern this one.
	_, _ = ctx.AppIfConfigured("http")
	return a.sites
}

// sitesErrors are the faults of the handlers that the HTTP app, which is
// provisioning this one, has before it: Caddy keeps the JSON of a list of
// handlers until all of them are loaded. Those behind it had none.
func sitesErrors(ctx caddy.Context, handler caddy.Validator) (list configErrors) {
	for _, module := range ctx.Modules() {
		if sites, ok := module.(*caddyhttp.App); ok {
			list = list.with(siteErrors(sites.Servers)...)
		}
	}
	if len(list) == 0 {
		for _, fault := range flatten(handler.Validate()) {
			list = list.with(configError("", fault.Error()))
		}
	}
	return list
}

// siteErrors looks at the JSON of what is not loaded yet, site by site, and at
// the ways to an app that no directive guards.
func siteErrors(servers map[string]*caddyhttp.Server) (list configErrors) {
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		lists := []caddyhttp.RouteList{server.Routes}
		if server.Errors != nil {
			lists = append(lists, server.Errors.Routes)
		}
		for _, routes := range lists {
			for _, route := range routes {
				list = list.with(routeErrors(siteName(name, server, route), route)...)
			}
		}
		for _, named := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
			list = list.with(routeErrors("&("+named+")", *server.NamedRoutes[named])...)
		}
	}
	_, around := checkRoutes(servers)
	for _, fault := range flatten(around) {
		list = list.with(configError("", fault.Error()))
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

func routeErrors(site string, route caddyhttp.Route) (list configErrors) {
	raw, err := json.Marshal(route)
	if err != nil {
		return configErrors{configError(site, err.Error())}
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // prices keep their decimals
	if err := decoder.Decode(&tree); err != nil {
		return configErrors{configError(site, err.Error())}
	}
	for _, fault := range flatten(treeFaults(tree)) {
		list = list.with(configError(site, fault.Error()))
	}
	return list
}

// treeFaults are those of the handlers anywhere below the node.
func treeFaults(node any) error {
	var faults []error
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			faults = append(faults, flatten(treeFaults(child))...)
		}
	case map[string]any:
		name, _ := node["handler"].(string)
		if make, ours := siteHandlers[name]; ours {
			return handlerFaults(name, make(), node)
		}
		for _, key := range slices.Sorted(maps.Keys(node)) {
			faults = append(faults, flatten(treeFaults(node[key]))...)
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
