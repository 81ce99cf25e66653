package command

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/importer"
	"mana.how/edge/caddymodule/services"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import --from <url> [--dry-run]",
		Short: "Carries the accounts of the replaced service over",
		Long: `Carries users with their passwords, live sessions, signing keys, credits, gifts,
purchases, subscriptions, organisations, API keys, Matrix links and OpenID clients
over from the database of the replaced service, which is only read. Nobody is signed
out.

The command can be repeated and goes on where it was stopped. What changed at the
source since is brought up to date, unless it was changed here too. The report says
what was mended and what was left out, and why. With --dry-run nothing is written.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(importAction),
	}
	cmd.Flags().String("from", "", "PostgreSQL URL of the replaced service (required)")
	cmd.Flags().Bool("dry-run", false, "Write nothing, report what would be done")
	return cmd
}

func importAction(inv invoke.Invocation, _ []string) error {
	if inv.Flag("from") == "" {
		return errors.New("--from is missing")
	}
	return inv.WithDatabase(func(s invoke.Source, c invoke.Connection) error {
		if err := c.Current(inv.Ctx); err != nil {
			return err
		}
		secrets, err := secretsOf(inv, s, c)
		if err != nil {
			return err
		}
		pool, err := services.OpenPool(inv.Ctx, c.At)
		if err != nil {
			return err
		}
		defer services.ClosePool(pool, inv.Log())
		progress := inv.Progress(importer.Steps())
		report, err := importer.Import(inv.Ctx, importer.Options{
			From: inv.Flag("from"), Pool: pool, DryRun: inv.On("dry-run"), Secrets: secrets, Step: progress.Step,
		})
		progress.End()
		if err != nil {
			if errors.Is(err, importer.ErrShape) {
				err = &invoke.Failure{Code: "NOT_THE_SOURCE", Err: err}
			}
			return err
		}
		return inv.Print(report, func(w io.Writer) { writeReport(w, report) })
	})
}

// secretsOf are those that signing keys are read with. Where the command has none, keys
// are carried over unread.
func secretsOf(inv invoke.Invocation, s invoke.Source, c invoke.Connection) (secret.Keys, error) {
	settings, err := s.Config.Resolve(s.Env)
	key := settings.EncryptionKey
	if err != nil {
		fmt.Fprintf(inv.ErrOrStderr(), "signing keys are carried over unread: %v\n", err)
		return secret.Keys{}, nil
	}
	if !key.IsSet() && c.At.Embedded {
		if key, err = services.ReadKey(filepath.Join(c.Dir(), services.EmbeddedKeyFile)); err != nil {
			return secret.Keys{}, fmt.Errorf("encryption_key: %w", err)
		}
	}
	return settings.Secrets(key)
}

func writeReport(w io.Writer, r importer.Report) {
	if r.DryRun {
		invoke.Line(w, "a dry run: nothing was written")
	}
	invoke.Line(w, "TABLE\tCREATED\tUPDATED\tUNCHANGED\tREMOVED\tKEPT\tMENDED\tREFUSED")
	for _, c := range r.Tables {
		invoke.Line(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d", c.Table, c.Created, c.Updated, c.Unchanged, c.Removed, c.Kept, c.Mended, c.Refused)
	}
	for _, list := range []struct {
		name  string
		notes []importer.Note
	}{{"MENDED", r.Mended}, {"REFUSED", r.Refused}} {
		if len(list.notes) > 0 {
			invoke.Line(w, "%s\tID\tREASON", list.name)
		}
		for _, n := range list.notes {
			invoke.Line(w, "%s\t%s\t%s", n.Table, n.ID, n.Reason)
		}
	}
}
