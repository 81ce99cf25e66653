package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

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
		RunE: runs(migrateAction),
	}
	cmd.Flags().Bool("status", false, "Only show how far the schema is")
	return cmd
}

// schemaView is the schema's state in JSON.
type schemaView struct {
	Current int      `json:"current"`
	Latest  int      `json:"latest"`
	Pending []string `json:"pending"`
	// Functions of the database that differ from this binary's.
	Functions []string `json:"functions,omitempty"`
	Applied   []string `json:"applied,omitempty"`
}

func migrateAction(inv invocation, _ []string) error {
	return inv.withDatabase(func(_ source, c connection) error {
		act := migrate
		if inv.on("status") {
			act = schemaStatus
		}
		status, err := act(inv.ctx, c.at)
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
		return inv.print(view, func(w io.Writer) {
			line(w, "schema\t%d of %d", view.Current, view.Latest)
			if len(view.Applied) > 0 {
				line(w, "applied\t%s", strings.Join(view.Applied, ", "))
			}
			pending := "none"
			if len(view.Pending) > 0 {
				pending = strings.Join(view.Pending, ", ")
			}
			line(w, "pending\t%s", pending)
			if len(view.Functions) > 0 {
				line(w, "functions\t%s", strings.Join(view.Functions, ", "))
			}
		})
	})
}
