// Command mana-edge is Caddy with the Mana Edge module and Caddy's standard
// modules. It has Caddy's commands and one group of its own, "mana". What is
// wrong with a config it prints as a list, and to a person at a terminal it
// says where to go.
package main

import (
	"log"
	"log/slog"
	"os"
	"runtime/debug"
	_ "time/tzdata" // zones for log formats and templates on bare images

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // Caddy's own modules; loading.go imports this one

	"mana.how/edge"
)

// gcPercent is this program's GOGC where the environment has none. What lives
// in a proxy are some MiB, which Go's own default would collect dozens of times
// a second under load.
const gcPercent = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	logLibraries()
	caddy.CustomBinaryName = "mana-edge" // in usage texts
	if code, done := loading(os.Args[1:]); done {
		os.Exit(code)
	}
	caddycmd.Main()
}

// logLibraries has libraries that write to slog's default logger write to Caddy's log.
// What is written by package log goes to stderr, as before.
func logLibraries() {
	slog.SetDefault(edge.LibraryLogger())
	log.SetOutput(os.Stderr)
	log.SetFlags(log.LstdFlags)
}
