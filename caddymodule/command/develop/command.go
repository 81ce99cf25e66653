package develop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "dev",
		Usage: "[--upstream <host:port>]… [--site <file>] [--data <dir>] [--port <port>] [--once -- <command>…]",
		Short: "Runs a family for development: auth, gate, users, mailbox",
		Long: `
Runs a database, the auth site and a gate before each upstream, on loopback
addresses, with users whose passwords are known. Mails go to a mailbox, a page
beside the auth site. Codes of mails and authenticators are fixed. Payments go
to a Stripe account in this process, and time passes when it is told to.

Each gate is "mana_auth" with "headers name picture" and "assertion app". A file
of --site has what stands in place of that: what the site of the app has in the
Caddyfile of its production, mana_auth, mana_rate_limit and mana_credits among
it. Whatever that lets through goes to the upstream.

What it writes is in --data, and is used again by the next run; without it, in
a temporary directory that goes with the process.

With --once a command runs meanwhile, with addresses, users and tokens in its
environment, on ports that are free; the edge stops with it, and ends with its
exit code. With port 0 of an upstream the app, too, has a free one, which PORT
names:

  mana-edge dev --upstream localhost:0 --once -- npm test`,
		CobraFunc: build,
	})
}

// options are the flags.
type options struct {
	Upstreams []string
	Site      string
	Data      string
	Port      int
	Once      bool
	Command   []string
}

func build(cmd *cobra.Command) {
	var o options
	flags := cmd.Flags()
	flags.StringArrayVar(&o.Upstreams, "upstream", []string{"localhost:3000"}, "Where an app listens; each gets a site (repeatable). Port 0 is a free one, with --once")
	flags.StringVar(&o.Site, "site", "", "File with the directives of the apps' sites, in place of the gate")
	flags.StringVar(&o.Data, "data", "", "Directory of the database and the files; a temporary one where not given")
	flags.IntVar(&o.Port, "port", 4400, "Port of the auth site; the mailbox and the apps have the next ones. 0 takes free ones")
	flags.BoolVar(&o.Once, "once", false, "Run the command behind --, and end with it")
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Command = args
		if o.Once && !flags.Changed("port") {
			o.Port = 0
		}
		code, err := o.run(cmd.ErrOrStderr())
		if err == nil && code != 0 { // the command has said why
			cmd.SilenceErrors = true
			err = fmt.Errorf("the command ended with %d", code)
		}
		if code < 2 {
			return err
		}
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, args)
	}
}

func (o options) check() error {
	switch {
	case o.Once && len(o.Command) == 0:
		return errors.New("--once: the command is missing: mana-edge dev --once -- npm test")
	case !o.Once && len(o.Command) > 0:
		return fmt.Errorf("%q: a command needs --once", o.Command[0])
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("--port: %d is no port", o.Port)
	}
	for _, upstream := range o.Upstreams {
		if !upstreamForm.MatchString(upstream) {
			return fmt.Errorf("--upstream: %q is not host:port", upstream)
		}
		if strings.HasSuffix(upstream, ":0") && !o.Once {
			return fmt.Errorf("--upstream: %q needs --once, whose command reads the port", upstream)
		}
	}
	return nil
}

// run serves until a signal comes or the command is over, whose exit code it
// returns.
func (o options) run(out io.Writer) (code int, err error) {
	if err := o.check(); err != nil {
		return 1, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	environment := os.Environ() // the command's, before this process gives its own up
	f, err := start(ctx, o, out)
	if f != nil {
		defer func() { err = errors.Join(err, f.stop()) }()
	}
	if err != nil {
		return 1, err
	}
	if !o.Once {
		f.welcome(out)
		<-ctx.Done()
		fmt.Fprintln(out, "\nMana Edge stops.")
		return 0, nil
	}
	variables, err := f.variables(ctx)
	if err != nil {
		return 1, err
	}
	return runOnce(ctx, o.Command, append(environment, variables...))
}
