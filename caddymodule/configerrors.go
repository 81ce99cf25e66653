package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// configErrors are what an admin has to mend, one a line: where, in which site,
// at which directive, and what. Caddy puts a chain of its own before the text
// of an error, and only the text travels through its admin endpoint: so the
// list has a headline by which [ConfigErrorsIn] finds it again.
type configErrors []string

func (e configErrors) Error() string {
	plural := "s"
	if len(e) == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d config error%s:\n%s", len(e), plural, strings.Join(e, "\n"))
}

// Unwrap takes the list apart.
func (e configErrors) Unwrap() (list []error) {
	for _, text := range e {
		list = append(list, errors.New(text))
	}
	return list
}

// with adds what is not in the list yet.
func (e configErrors) with(more ...string) configErrors {
	for _, text := range more {
		if !slices.Contains(e, text) {
			e = append(e, text)
		}
	}
	return e
}

var headline = regexp.MustCompile(`(?:^|[ :\n])\d+ config errors?:\n`)

// ConfigErrorsIn returns the list that the text of an error of Caddy ends in,
// and nil where there is none.
func ConfigErrorsIn(text string) []string {
	at := headline.FindStringIndex(text)
	if at == nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(text[at[1]:]), "\n")
}

// ConfigErrors returns what is wrong with the app and the directives of this
// module in a config in JSON, without loading any of it: neither Caddy's
// modules are provisioned, nor is anything opened but the files of {file.*}.
// What Caddy finds wrong with the rest is left to Caddy. The lines of the
// Caddyfile that the config was made of are added where file names it.
func ConfigErrors(config []byte, file string) []string {
	var whole caddy.Config
	if json.Unmarshal(config, &whole) != nil {
		return nil
	}
	var list configErrors
	var sites caddyhttp.App
	if raw := whole.AppsRaw["http"]; raw != nil && caddy.StrictUnmarshalJSON(raw, &sites) != nil {
		return nil
	}
	raw, configured := whole.AppsRaw[appName]
	app := new(App)
	switch {
	case configured && caddy.StrictUnmarshalJSON(raw, app) != nil:
		list = list.with(fmt.Sprintf("mana: %v", caddy.StrictUnmarshalJSON(raw, app)))
	case configured || usesDirectives(sites.Servers):
		_, err := app.resolve(processEnvironment)
		list = list.with(appErrors(err)...)
	}
	list = list.with(siteErrors(sites.Servers)...)
	return LocateErrors(list, file)
}

// appErrors names the block that the errors are of.
func appErrors(err error) (list configErrors) {
	for _, e := range flatten(err) {
		text := e.Error()
		if !strings.HasPrefix(text, appName+" ") && !strings.HasPrefix(text, appName+":") {
			text = appName + ": " + text
		}
		list = list.with(configError("", text))
	}
	return list
}

// position is how a parser of Caddyfiles says where it was.
var position = regexp.MustCompile(`(?s)^(.*), at ([^\n]*:\d+)( import chain \[.*\])?$`)

// configError is one line: the position first, then the site.
func configError(site, text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")
	if site != "" {
		site = "site " + site + ": "
	}
	if m := position.FindStringSubmatch(text); m != nil {
		return m[2] + ": " + site + m[1] + m[3]
	}
	return site + text
}

// PlainError is the text of an error of Caddy's adapter as a line of the same
// shape.
func PlainError(err error) string {
	text := err.Error()
	for {
		name, rest, found := strings.Cut(text, ": ")
		if !found || !strings.HasPrefix(name, "adapting config using ") {
			return configError("", text)
		}
		text = rest
	}
}

// usesDirectives reports whether a site has a directive of this module.
func usesDirectives(servers map[string]*caddyhttp.Server) bool {
	raw, err := json.Marshal(servers)
	if err != nil {
		return false
	}
	for name := range siteHandlers {
		if strings.Contains(string(raw), `"handler":"`+name+`"`) {
			return true
		}
	}
	return false
}
