package app

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/syntax"
)

// Directions are where a person finds what runs.
type Directions struct {
	Auth  string   // the address of the pages to sign in; empty without mana_api
	Apps  []string // addresses of the sites behind the gate
	Data  string   // where the data lies, without a password
	Waits bool     // the database is not there yet
	// LocalCertificates reports that certificates are not from a public authority.
	LocalCertificates bool
}

// Guide reads the directions out of the config that runs, in JSON. It reports
// false where the config does not use this module.
func Guide(text []byte) (d Directions, ok bool) {
	module, err := caddy.ActiveContext().AppIfConfigured(syntax.AppName)
	app, is := module.(*App)
	if err != nil || !is {
		return d, false
	}
	d.Waits = !app.Settled()
	if place := app.settings.Database; place.Embedded() {
		d.Data = place.Dir + " (embedded PostgreSQL)"
	} else {
		d.Data = place.Name()
	}
	var whole struct {
		Apps struct {
			HTTP caddyhttp.App `json:"http"`
			TLS  struct {
				Automation struct {
					Policies []struct {
						Issuers []struct {
							Module string `json:"module"`
						} `json:"issuers"`
					} `json:"policies"`
				} `json:"automation"`
			} `json:"tls"`
		} `json:"apps"`
	}
	if json.Unmarshal(text, &whole) != nil {
		return d, true
	}
	for _, policy := range whole.Apps.TLS.Automation.Policies {
		for _, issuer := range policy.Issuers {
			d.LocalCertificates = d.LocalCertificates || issuer.Module == "internal"
		}
	}
	for _, server := range whole.Apps.HTTP.Servers {
		for _, route := range server.Routes {
			handlers := make(map[string]bool)
			handlersOf(stepsOf(route), handlers)
			hosts, _ := routeMatch(route.MatcherSetsRaw)
			for _, address := range addresses(whole.Apps.HTTP, server, hosts) {
				switch {
				case handlers["mana_api"] && (d.Auth == "" || address == app.settings.BaseURL.String()):
					d.Auth = address
				case handlers["mana_auth"] && !strings.Contains(address, "*"):
					d.Apps = append(d.Apps, address)
				}
			}
		}
	}
	slices.Sort(d.Apps)
	return d, true
}

func handlersOf(steps []step, found map[string]bool) {
	for _, s := range steps {
		found[s.Handler] = true
		for _, route := range s.Routes {
			handlersOf(stepsOf(route), found)
		}
	}
}

// addresses are the sites' as a browser is told.
func addresses(app caddyhttp.App, server *caddyhttp.Server, hosts []string) (list []string) {
	if len(server.Listen) == 0 {
		return nil
	}
	listen, err := caddy.ParseNetworkAddress(server.Listen[0])
	if err != nil || listen.IsUnixNetwork() {
		return nil
	}
	plain, secure := uint(app.HTTPPort), uint(app.HTTPSPort)
	if plain == 0 {
		plain = caddyhttp.DefaultHTTPPort
	}
	if secure == 0 {
		secure = caddyhttp.DefaultHTTPSPort
	}
	off := server.AutoHTTPS != nil && server.AutoHTTPS.Disabled && len(server.TLSConnPolicies) == 0
	scheme, usual := "https", uint(443)
	if listen.StartPort == plain || off || len(hosts) == 0 && listen.StartPort != secure {
		scheme, usual = "http", 80
	}
	if len(hosts) == 0 {
		hosts = []string{"localhost"}
	}
	for _, host := range hosts {
		if listen.StartPort != usual {
			host = net.JoinHostPort(strings.Trim(host, "[]"), strconv.FormatUint(uint64(listen.StartPort), 10))
		}
		list = append(list, scheme+"://"+host)
	}
	return list
}
