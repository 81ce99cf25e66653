package command

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/backup"
	"mana.how/edge/caddymodule/command/doctor"
	"mana.how/edge/caddymodule/command/invoke"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "mana",
		Usage: "<command>",
		Short: "Operates Mana Edge: schema, users, organisations, credits, keys, mail, diagnosis",
		Long: `
Operates the identity, the ledger and the database behind the app "mana".

The database is that of --database, else that of --config, else that of the
Caddyfile in the current folder, else that of DATABASE_URL, else the embedded
one. An embedded database that no server runs is started for the moment.
The commands keys, mail, webhook and doctor need the same encryption key as the server: from the
config, from MANA_ENCRYPTION_KEY or BETTER_AUTH_SECRET, or, with the embedded
database, from its folder.

With --json the result is JSON, and an error the last line of the error output:
{"error":{"code":"USER_NOT_FOUND","message":"…"}}.`,
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
	group.AddCommand(migrateCommand(), userCommand(), orgCommand(), keysCommand(), keyCommand(), serviceKeyCommand(), auditCommand(), creditsCommand(), pricesCommand(), giftCommand(), couponCommand(), clientCommand(), webhookCommand(), mailCommand(), seedCommand(), importCommand(), healthCommand(), doctor.Command())
	group.AddCommand(backup.Commands()...)
	invoke.Tell(group)
}
