// Package caddymodule registers what Mana Edge adds to Caddy, and sets the order
// of its directives. The app is in package app, each directive in a package of its
// own, the commands in command.
package caddymodule
