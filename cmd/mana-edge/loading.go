package main

import (
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"mana.how/edge"
)

// loader is a command of Caddy's that reads a config, with the flags it was
// called with.
type loader struct {
	*cobra.Command
	name string
}

// loading does what Caddy's commands that read a config do before they do
// anything else: it reads the config, and prints what is wrong with it to
// stderr, a line each. It reports done where nothing is left for Caddy to do.
func loading(args []string) (code int, done bool) {
	if len(args) == 0 {
		return 0, false
	}
	c := loader{name: args[0], Command: new(cobra.Command)}
	switch c.name {
	case "adapt", "reload", "run", "start", "validate":
	default:
		return 0, false
	}
	caddycmd.Commands()[c.name].CobraFunc(c.Command)
	if c.ParseFlags(args[1:]) != nil || !c.readable() {
		return 0, false // Caddy says what is wrong with the flags
	}
	config, file, adapter, err := c.load()
	if err != nil {
		fmt.Fprintln(os.Stderr, edge.PlainError(err))
		return caddy.ExitCodeFailedStartup, true
	}
	if c.name == "reload" {
		return c.reload(config, file, adapter)
	}
	if c.name != "adapt" || c.is("validate") {
		if list := edge.ConfigErrors(config, file); len(list) > 0 {
			show(os.Stderr, list)
			return caddy.ExitCodeFailedStartup, true
		}
	}
	if c.name == "run" && c.watched() {
		runForPerson(config, file, adapter)
		return caddy.ExitCodeFailedStartup, true
	}
	return 0, false
}

// readable reports whether the config is in a file that is read here as Caddy
// will read it: neither what was saved before, nor standard input, nor one that
// wants variables which Caddy has still to read.
func (c loader) readable() bool {
	files, _ := c.Flags().GetStringSlice("envfile")
	return !c.is("help") && !c.is("resume") && c.text("config") != "-" && len(files) == 0
}

func (c loader) text(flag string) string {
	text, _ := c.Flags().GetString(flag)
	return text
}

func (c loader) is(flag string) bool {
	set, _ := c.Flags().GetBool(flag)
	return set
}

// load reads and adapts the config, and keeps to itself what Caddy will log of
// that once more.
func (c loader) load() (config []byte, file, adapter string, err error) {
	_, before, buffer := caddy.BufferedLog()
	config, file, adapter, err = caddycmd.LoadConfig(c.text("config"), c.text("adapter"))
	buffer.FlushTo(zap.NewNop())
	caddy.UnbufferDefaultLogger(before)
	return config, file, adapter, err
}

func show(w io.Writer, list []string) {
	for _, line := range list {
		fmt.Fprintln(w, line)
	}
}
