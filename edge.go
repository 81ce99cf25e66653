// Package edge plugs Mana Edge into Caddy. Importing it registers the app
// "mana", its directives and the command group "mana":
//
//	xcaddy build --with mana.how/edge
//
// The code is in caddymodule (what knows Caddy and HTTP), authcore (identity)
// and migrations (the schema). What is exported here is for a program that
// reads configs itself, as cmd/mana-edge does.
package edge

import (
	"log/slog"

	_ "mana.how/edge/caddymodule" // registers the modules
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/logging"
	"mana.how/edge/caddymodule/syntax"
)

// Directions are where a person finds what runs.
type Directions = app.Directions

// ConfigErrors returns what is wrong with the app and the directives of Mana
// Edge in a config in JSON, one a line, without loading it; file is the
// Caddyfile it was made of, or empty.
func ConfigErrors(text []byte, file string) []string { return app.ConfigErrors(text, file) }

// ConfigErrorsIn returns the list that the text of an error of Caddy ends in,
// and nil where there is none.
func ConfigErrorsIn(text string) []string { return syntax.ErrorsIn(text) }

// LocateErrors adds file and line to config errors that lack them.
func LocateErrors(list []string, file string) []string { return syntax.LocateErrors(list, file) }

// PlainError is the text of an error of Caddy's adapter as a line of the same
// shape.
func PlainError(err error) string { return syntax.PlainError(err) }

// LibraryLogger writes to Caddy's log what libraries say that take no logger of their
// own, and what they tell of what they do as what is for debugging. It is for
// [slog.SetDefault].
func LibraryLogger() *slog.Logger { return logging.Library() }

// Guide reads the directions out of the config that runs, in JSON. It reports
// false where the config does not use Mana Edge.
func Guide(text []byte) (d Directions, ok bool) { return app.Guide(text) }
