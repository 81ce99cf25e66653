package app

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"mana.how/edge/caddymodule/syntax"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mana", parseGlobalOption)
}

// parseGlobalOption reads the global option into the app's JSON. It looks at
// syntax only; what the words mean is judged when the app is provisioned.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's own name
	if existing != nil {
		return nil, d.Err("mana is already configured; there is one block for all sites")
	}
	app := new(App)
	app.Faults = syntax.FaultsOf(app.Config.UnmarshalCaddyfile(d))
	return httpcaddyfile.App{Name: syntax.AppName, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the block of the global option. Syntax:
//
//	mana {
//		database embedded [<dir>]
//		database <url> {
//			direct     <url>
//			query_mode cache_statement|cache_describe|exec|simple_protocol
//		}
//		redis              <url>
//		base_url           <url>
//		audience           <name>
//		cookie_domain      <domain>
//		trusted_origins    <origin...>
//		encryption_key     <secret> [<older>...]
//		service_key        <secret>
//		service_key        <name> <secret> <scope>...
//		access_token_ttl   <duration>
//		refresh_token_ttl  <duration>
//		email_verification required|optional
//		registration       open|closed
//		provider google|github { client_id … client_secret … }
//		provider apple         { client_id … team_id … key_id … private_key … }
//		provider oidc <name> {
//			issuer        <url>
//			client_id     <id>
//			client_secret <secret>
//			name          <text>
//			scopes        <scope>...
//			role_claim    <claim> <value>=user|admin...
//			audiences     <client id>...
//			only
//		}
//		brand { name … logo … colour … imprint … privacy … support … }
//		gifts { redeem_unverified }
//		retention { events … sessions … holds … outbox … }
//		smtp    { host … port … username … password … from … templates … }
//		stripe {
//			secret_key     <key>
//			webhook_secret <secret> [<second secret>]
//			api_url        <url>
//			return_url     <origin or scheme://...>
//			grace          <duration>
//			plan <name> { product … monthly … yearly … }
//			package <name> <credits> <cents>
//		}
//		storage { endpoint … region … bucket … access_key … secret_key … public_url … }
//	}
//
// All faults are reported together, each with its file and line.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return a.Config.UnmarshalCaddyfile(d)
}

var _ caddyfile.Unmarshaler = (*App)(nil)
