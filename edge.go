// Package edge plugs Mana Edge into Caddy. Importing it registers the app
// "mana", its directives and the command group "mana":
//
//	xcaddy build --with mana.how/edge
//
// The code is in caddymodule (what knows Caddy and HTTP), authcore (identity)
// and migrations (the schema).
package edge

import _ "mana.how/edge/caddymodule" // registers the modules
