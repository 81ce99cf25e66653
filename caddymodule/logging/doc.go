// Package logging logs for what outlives a config of Caddy.
package logging
