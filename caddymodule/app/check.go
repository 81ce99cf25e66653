package app

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/syntax"
)

// ConfigErrors returns what is wrong with the app and the directives of this
// module in a config in JSON, without loading any of it: neither Caddy's
// modules are provisioned, nor is anything opened but the files of {file.*}.
// What Caddy finds wrong with the rest is left to Caddy. The lines of the
// Caddyfile that the config was made of are added where file names it.
func ConfigErrors(text []byte, file string) []string {
	var whole caddy.Config
	if json.Unmarshal(text, &whole) != nil {
		return nil
	}
	var list syntax.ErrorList
	var sites caddyhttp.App
	if raw := whole.AppsRaw["http"]; raw != nil && caddy.StrictUnmarshalJSON(raw, &sites) != nil {
		return nil
	}
	raw, configured := whole.AppsRaw[syntax.AppName]
	var app config.Config
	switch {
	case configured && caddy.StrictUnmarshalJSON(raw, &app) != nil:
		list = list.With(fmt.Sprintf("mana: %v", caddy.StrictUnmarshalJSON(raw, &app)))
	case configured || usesDirectives(sites.Servers):
		_, err := app.Resolve(config.ProcessEnvironment)
		list = list.With(syntax.AppErrors(err)...)
	}
	list = list.With(siteErrors(sites.Servers)...)
	return syntax.LocateErrors(list, file)
}

// usesDirectives reports whether a site has a directive of this module.
func usesDirectives(servers map[string]*caddyhttp.Server) bool {
	raw, err := json.Marshal(servers)
	return err == nil && strings.Contains(string(raw), `"handler":"`+handlerPrefix)
}
