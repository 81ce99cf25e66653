// Package metrics holds the measurements of the process and registers them with
// Caddy's registries. Names are those of the replaced service where it had one,
// else they begin with mana_.
package metrics
