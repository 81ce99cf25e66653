package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/migrations"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate [--status]",
		Short: "Brings the database schema up to date",
		Long: `Applies the migrations that are pending, under a lock, so that several may run
it at once. Starting the server does the same. Where the login role may not
create roles, it prints the statements an owner of the cluster must run.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(migrateAction),
	}
	cmd.Flags().Bool("status", false, "Only show how far the schema is")
	return cmd
}

// schemaView is the schema's state in JSON.
type schemaView struct {
	Current int      `json:"current"`
	Latest  int      `json:"latest"`
	Pending []string `json:"pending"`
	// Functions reports whether those of this binary are still to make.
	Functions bool     `json:"functions,omitempty"`
	Applied   []string `json:"applied,omitempty"`
}

func migrateAction(inv invoke.Invocation, _ []string) error {
	return inv.WithDatabase(func(_ invoke.Source, c invoke.Connection) error {
		act := services.Migrate
		if inv.On("status") {
			act = services.SchemaStatus
		}
		status, err := act(inv.Ctx, c.At)
		if errors.Is(err, migrations.ErrNewerSchema) {
			err = fmt.Errorf("%w; use the binary that migrated it, or a newer one", err)
		}
		if err != nil {
			return err
		}
		view := schemaView{Current: status.Current, Latest: status.Latest, Pending: status.Pending, Applied: status.Applied, Functions: status.Functions}
		if view.Pending == nil {
			view.Pending = []string{}
		}
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "schema\t%d of %d", view.Current, view.Latest)
			if len(view.Applied) > 0 {
				invoke.Line(w, "applied\t%s", strings.Join(view.Applied, ", "))
			}
			pending := "none"
			if len(view.Pending) > 0 {
				pending = strings.Join(view.Pending, ", ")
			}
			invoke.Line(w, "pending\t%s", pending)
			if view.Functions {
				invoke.Line(w, "functions\tto be made")
			}
		})
	})
}
