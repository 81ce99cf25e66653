package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
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
	h.Reset()
	h.Next()
	for _, fault := range flatten(handler.Validate()) {
		faults = append(faults, h.WrapErr(fault).Error())
	}
	return faults
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
		return nil, errors.Join(err, sitesFaults(ctx, handler))
	}
	app := module.(*App)
	if app.faulty {
		app.sites = sitesFaults(ctx, handler)
		return nil, errAppFaulty
	}
	if handler.Validate() != nil || app.knowSites(ctx) != nil {
		return nil, sitesFaults(ctx, handler)
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
func (a *App) faultsOfSites(ctx caddy.Context) error {
	a.faulty = true
	// What else is wrong with the HTTP app does not concern this one.
	_, _ = ctx.AppIfConfigured("http")
	return a.sites
}

// sitesFaults are the faults of the handler and of those that the HTTP app,
// which is provisioning it, still has before it. Those behind it had none.
func sitesFaults(ctx caddy.Context, handler caddy.Validator) error {
	list := faultList{seen: make(map[string]bool)}
	list.add(handler.Validate())
	for _, module := range ctx.Modules() {
		if sites, ok := module.(*caddyhttp.App); ok {
			list.add(serversFaults(sites.Servers))
			_, around := checkRoutes(sites.Servers)
			list.add(around)
		}
	}
	return errors.Join(list.faults...)
}

// faultList keeps each fault once.
type faultList struct {
	faults []error
	seen   map[string]bool
}

func (l *faultList) add(err error) {
	for _, fault := range flatten(err) {
		if text := fault.Error(); !l.seen[text] {
			l.seen[text] = true
			l.faults = append(l.faults, fault)
		}
	}
}

// serversFaults looks at the JSON of what is not loaded yet.
func serversFaults(servers map[string]*caddyhttp.Server) error {
	raw, err := json.Marshal(servers)
	if err != nil {
		return fmt.Errorf("read the sites: %w", err)
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // prices keep their decimals
	if err := decoder.Decode(&tree); err != nil {
		return fmt.Errorf("read the sites: %w", err)
	}
	return treeFaults(tree)
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
