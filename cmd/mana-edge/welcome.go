package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"golang.org/x/term"

	"mana.how/edge"
)

// watched reports whether a person at a terminal runs the edge, and with no
// flag but those that name the config: programs get Caddy's log as it is.
func (c loader) watched() bool {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return false
	}
	plain := true
	c.Flags().Visit(func(f *pflag.Flag) { plain = plain && (f.Name == "config" || f.Name == "adapter") })
	return plain
}

// runForPerson runs the edge and says in a few lines where to go. Of the log,
// where the config says nothing about it, warnings and errors are shown. It
// returns where the edge does not start: signals end the process.
func runForPerson(config []byte, file, adapter string) {
	if len(config) == 0 {
		fmt.Fprintln(os.Stderr, "There is no Caddyfile here. Name one: mana-edge run --config <file>")
		return
	}
	caddy.TrapSignals()
	fmt.Fprintln(os.Stderr, "Mana Edge starts. The first start makes a database, which takes some seconds.")
	caddy.SetLastConfig(file, adapter, func(file, adapter string) error {
		config, _, _, err := caddycmd.LoadConfig(file, adapter)
		if err != nil {
			return err
		}
		return caddy.Load(config, true)
	})
	_, before, buffer := caddy.BufferedLog() // until the config says where the log goes
	if err := caddy.Load(quiet(config), true); err != nil {
		buffer.FlushTo(zap.NewNop())
		caddy.UnbufferDefaultLogger(before)
		if list := edge.ConfigErrorsIn(err.Error()); len(list) > 0 {
			show(os.Stderr, edge.LocateErrors(list, file))
		} else {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	welcome(os.Stderr, config)
	select {}
}

// quiet sets the level of the log where the config does not speak of it.
func quiet(config []byte) []byte {
	var whole map[string]json.RawMessage
	if json.Unmarshal(config, &whole) != nil || whole["logging"] != nil {
		return config
	}
	// Caddy warns of each plain listener that it speaks no HTTP/2.
	whole["logging"] = json.RawMessage(`{"logs":{"default":{"level":"WARN","exclude":["http"]},"http":{"level":"ERROR","include":["http"]}}}`)
	quieter, err := json.Marshal(whole)
	if err != nil {
		return config
	}
	return quieter
}

func welcome(w io.Writer, config []byte) {
	g, ok := edge.Guide(config)
	if !ok {
		fmt.Fprint(w, "\nMana Edge is running, without the app mana. Ctrl-C stops it.\n\n")
		return
	}
	fmt.Fprint(w, "\nMana Edge is running.\n\n")
	verb := "open"
	for _, app := range g.Apps {
		fmt.Fprintf(w, "  %-9s %s\n", verb, app)
		verb = ""
	}
	if g.Auth != "" {
		fmt.Fprintf(w, "  %-9s %s/login (new here: %s/register)\n", "sign in", g.Auth, g.Auth)
	}
	fmt.Fprintf(w, "  %-9s %s\n", "data", g.Data)
	if g.Waits {
		fmt.Fprintf(w, "  %-9s the database is not there yet; requests are answered with 503 until it is\n", "wait")
	}
	fmt.Fprintf(w, "  %-9s Ctrl-C\n", "stop")
	if g.LocalCertificates {
		fmt.Fprint(w, "\nThe certificates are this machine's own, so the browser warns once.\n")
	}
	fmt.Fprintln(w)
}
