package command

import (
	"fmt"
	"io"
	"net/http"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/command/invoke"
)

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health [--ready] [--address <admin endpoint>]",
		Short: "Asks the running edge how it is",
		Long: `Asks the edge that runs on this machine, through its admin endpoint, whether it
serves; with --ready whether it also has what requests need. The exit code is 1
where it does not. Made for the health checks of containers, which have no shell.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(healthAction),
	}
	cmd.Flags().Bool("ready", false, "Fail also while the database or LISTEN is away")
	cmd.Flags().String("address", "", "The admin endpoint, if not that of the config")
	return cmd
}

// healthView is an edge that is well, in JSON.
type healthView struct {
	Status string `json:"status"`
}

func healthAction(inv invoke.Invocation, _ []string) error {
	s, err := inv.ReadSource()
	if err != nil {
		return err
	}
	file := ""
	if s.Raw != nil {
		file = s.From
	}
	address, err := caddycmd.DetermineAdminAPIAddress(inv.Flag("address"), s.Raw, file, "")
	if err != nil {
		return err
	}
	path := app.HealthPath
	if inv.On("ready") {
		path += "?ready"
	}
	resp, err := caddycmd.AdminAPIRequest(address, http.MethodGet, path, nil, nil)
	if err != nil {
		return &invoke.Failure{Code: "UNAVAILABLE", Err: fmt.Errorf("the edge at %s: %w", address, err)}
	}
	defer resp.Body.Close()
	return inv.Print(healthView{"ok"}, func(w io.Writer) { invoke.Line(w, "ok") })
}
