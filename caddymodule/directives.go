package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	// each registers its modules
	_ "mana.how/edge/caddymodule/app"
	_ "mana.how/edge/caddymodule/command"
	_ "mana.how/edge/caddymodule/command/develop"
	_ "mana.how/edge/caddymodule/gate"
	_ "mana.how/edge/caddymodule/handler"
	_ "mana.how/edge/caddymodule/meter"
	_ "mana.how/edge/caddymodule/ratelimit"
)

// The order of the directives. Each "before basic_auth" lands right before
// basic_auth, behind those registered earlier, so a request meets them in the
// order of these lines, and nothing that answers stands before them but redir.
func init() {
	httpcaddyfile.RegisterDirectiveOrder("mana_rate_limit", httpcaddyfile.Before, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("mana_auth", httpcaddyfile.Before, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("mana_credits", httpcaddyfile.Before, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("mana_api", httpcaddyfile.Before, "respond")
}
