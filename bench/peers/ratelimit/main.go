// Command ratelimit is Caddy with the caddy-ratelimit plugin, a peer that the benchmark
// measures in the same run as this project's own gate.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-ratelimit"
)

func main() { caddycmd.Main() }
