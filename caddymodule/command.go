package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"os/user"
	"reflect"
	"syscall"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/usertext"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "mana",
		Usage: "<command>",
		Short: "Operates Mana Edge: schema, users, credits, keys, diagnosis",
		Long: `
Operates the identity, the ledger and the database behind the app "mana".

The database is that of --database, else that of --config, else that of the
Caddyfile in the current folder, else that of DATABASE_URL, else the embedded
one. An embedded database that no server runs is started for the moment.
The commands keys and doctor need the same encryption key as the server: from the
config, from MANA_ENCRYPTION_KEY or BETTER_AUTH_SECRET, or, with the embedded
database, from its folder.`,
		CobraFunc: buildCommands,
	})
}

// buildCommands adds the group's commands and flags.
func buildCommands(group *cobra.Command) {
	flags := group.PersistentFlags()
	flags.StringP("config", "c", "", "Configuration file to take the database from")
	flags.StringP("adapter", "a", "", "Config adapter of that file")
	flags.String("database", "", `PostgreSQL URL, or "embedded", or "embedded:<dir>"`)
	flags.Bool("json", false, "Print JSON")
	group.Args = cobra.NoArgs
	group.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	group.AddCommand(migrateCommand(), userCommand(), keysCommand(), auditCommand(), creditsCommand(), giftCommand(), seedCommand(), doctorCommand())
}

// invocation is one call of a command.
type invocation struct {
	*cobra.Command
	ctx  context.Context
	json bool
}

// runs makes a cobra function of an action. Ctrl-C cancels its context, so that
// an embedded database it started is stopped.
func runs(action func(inv invocation, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		asJSON, err := cmd.Flags().GetBool("json")
		if err != nil {
			return err
		}
		return action(invocation{cmd, ctx, asJSON}, args)
	}
}

// flag returns a string flag; one that is not defined is empty.
func (inv invocation) flag(name string) string {
	text, _ := inv.Flags().GetString(name)
	return text
}

func (inv invocation) on(name string) bool {
	set, _ := inv.Flags().GetBool(name)
	return set
}

// print writes the value as JSON where the caller asked for that, else the text.
func (inv invocation) print(value any, text func(io.Writer)) error {
	out := inv.OutOrStdout()
	if inv.json {
		raw, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, usertext.EscapeJSON(string(raw)))
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	text(table)
	return table.Flush()
}

// operator names who runs the command, for the audit trail.
func operator() authcore.Operator {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return authcore.Operator{Name: "cli:" + name}
}

// moment is a time in a table.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func momentOf(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return moment(*t)
}

func yesNo(set bool) string {
	if set {
		return "yes"
	}
	return "no"
}

func textOf(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}

// line writes a row of a table. What people wrote cannot draw on the terminal
// or add rows of its own.
func line(w io.Writer, format string, args ...any) {
	for i, arg := range args {
		if v := reflect.ValueOf(arg); v.Kind() == reflect.String {
			args[i] = usertext.Escape(v.String())
		}
	}
	fmt.Fprintf(w, format+"\n", args...)
}
