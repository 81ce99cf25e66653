package invoke

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

	"github.com/spf13/cobra"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/usertext"
)

// Invocation is one call of a command.
type Invocation struct {
	*cobra.Command
	Ctx  context.Context
	json bool
}

// Runs makes a cobra function of an action. Ctrl-C cancels its context, so that
// an embedded database it started is stopped.
func Runs(action func(inv Invocation, args []string) error) func(*cobra.Command, []string) error {
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
		return action(Invocation{cmd, ctx, asJSON}, args)
	}
}

// Flag returns a string flag; one that is not defined is empty.
func (inv Invocation) Flag(name string) string {
	text, _ := inv.Flags().GetString(name)
	return text
}

// On reports whether a flag that is set or not is set.
func (inv Invocation) On(name string) bool {
	set, _ := inv.Flags().GetBool(name)
	return set
}

// Print writes the value as JSON where the caller asked for that, else the text.
func (inv Invocation) Print(value any, text func(io.Writer)) error {
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

// Operator names who runs the command, for the audit trail.
func Operator() principal.Operator {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return principal.Operator{Name: "cli:" + name}
}

// Time is a time in a table.
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// OptionalTime is [Time] for one that may be missing.
func OptionalTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return Time(*t)
}

// YesNo is a truth in a table.
func YesNo(set bool) string {
	if set {
		return "yes"
	}
	return "no"
}

// OptionalText is a text in a table, or a dash.
func OptionalText(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}

// Line writes a row of a table. What people wrote cannot draw on the terminal
// or add rows of its own.
func Line(w io.Writer, format string, args ...any) {
	for i, arg := range args {
		if v := reflect.ValueOf(arg); v.Kind() == reflect.String {
			args[i] = usertext.Escape(v.String())
		}
	}
	fmt.Fprintf(w, format+"\n", args...)
}
