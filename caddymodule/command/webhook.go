package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/internal/webhook"
)

func webhookCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "webhook <command>",
		Short: "Manages the endpoints that are told what happens",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	create := &cobra.Command{
		Use:   "create --url <url> [--types <type>,…] [--description <text>]",
		Short: "Makes an endpoint and prints its secret, once",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(createWebhook),
	}
	create.Flags().String("url", "", "Where events are posted to, by https")
	create.Flags().StringSlice("types", nil, "Types of events it is told of; all where not given")
	create.Flags().String("description", "", "What it is for")
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists the endpoints",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listWebhooks),
	}
	rotate := &cobra.Command{
		Use:   "rotate <id>",
		Short: "Gives an endpoint another secret and prints it, once; for a day both sign",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(rotateWebhook),
	}
	enable := &cobra.Command{
		Use:   "enable <id>",
		Short: "Has a disabled endpoint told of what happens from now on",
		Args:  cobra.ExactArgs(1),
		RunE: invoke.Runs(changesWebhook("webhook_enabled", "enabled", func(ctx context.Context, tx pgx.Tx, h *webhook.Service, id string) error {
			return h.EnableTx(ctx, tx, id)
		})),
	}
	remove := &cobra.Command{
		Use:   "delete <id>",
		Short: "Deletes an endpoint, and what waits for it",
		Args:  cobra.ExactArgs(1),
		RunE: invoke.Runs(changesWebhook("webhook_deleted", "deleted", func(ctx context.Context, tx pgx.Tx, h *webhook.Service, id string) error {
			return h.DeleteTx(ctx, tx, id)
		})),
	}
	replay := &cobra.Command{
		Use:   "replay <id> [--event <id> | --since <duration>]",
		Short: "Has an endpoint told again of an event, or of all that it missed",
		Long: `Has an endpoint told again, under the same ids, of the event that is named, or of
those of the last while that it was not told, also while it was disabled. At most
1000 at once: say it again for more.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(replayWebhook),
	}
	replay.Flags().String("event", "", "The id of one event")
	replay.Flags().Duration("since", 72*time.Hour, "How far back to look for what was missed")
	group.AddCommand(create, list, rotate, enable, remove, replay)
	return group
}

// webhookView is an endpoint in JSON. Secret is there once.
type webhookView struct {
	ID             string     `json:"id"`
	URL            string     `json:"url"`
	Description    string     `json:"description"`
	Types          []string   `json:"types"`
	Secret         string     `json:"secret,omitempty"`
	FailingSince   *time.Time `json:"failingSince"`
	DisabledAt     *time.Time `json:"disabledAt"`
	DisabledReason *string    `json:"disabledReason"`
	CreatedAt      time.Time  `json:"createdAt"`
}

func viewWebhook(e webhook.Endpoint) webhookView {
	return webhookView{
		ID: e.ID, URL: e.URL, Description: e.Description, Types: listed(e.Types), FailingSince: e.FailingSince,
		DisabledAt: e.DisabledAt, DisabledReason: e.DisabledReason, CreatedAt: e.CreatedAt,
	}
}

func createWebhook(inv invoke.Invocation, _ []string) error {
	types, err := inv.Flags().GetStringSlice("types")
	if err != nil {
		return err
	}
	e := webhook.Endpoint{URL: inv.Flag("url"), Description: inv.Flag("description"), Types: types}
	return inv.WithWebhooks(func(auth *authcore.Service, hooks *webhook.Service) error {
		var view webhookView
		metadata := map[string]any{}
		err := auth.Audited(inv.Ctx, audit.Event{Type: "webhook_created", By: invoke.Operator(), Metadata: metadata}, func(ctx context.Context, tx pgx.Tx) error {
			made, secret, err := hooks.CreateTx(ctx, tx, e)
			view = viewWebhook(made)
			view.Secret = secret
			metadata["endpoint"], metadata["url"] = made.ID, made.URL
			return err
		})
		if err != nil {
			return err
		}
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "id\t%s", view.ID)
			invoke.Line(w, "secret\t%s", view.Secret)
		})
	})
}

func listWebhooks(inv invoke.Invocation, _ []string) error {
	return inv.WithWebhooks(func(_ *authcore.Service, hooks *webhook.Service) error {
		list, err := hooks.List(inv.Ctx)
		if err != nil {
			return err
		}
		views := make([]webhookView, len(list))
		for i, e := range list {
			views[i] = viewWebhook(e)
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tURL\tTYPES\tFAILING SINCE\tDISABLED\tREASON")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.URL, strings.Join(v.Types, " "), invoke.OptionalTime(v.FailingSince), invoke.OptionalTime(v.DisabledAt), invoke.OptionalText(v.DisabledReason))
			}
		})
	})
}

func rotateWebhook(inv invoke.Invocation, args []string) error {
	var secret string
	rotate := changesWebhookTo("webhook_secret_rotated", func(ctx context.Context, tx pgx.Tx, h *webhook.Service, id string) (err error) {
		secret, err = h.RotateTx(ctx, tx, id)
		return err
	}, func(inv invoke.Invocation, id string) error {
		return inv.Print(map[string]string{"id": id, "secret": secret}, func(w io.Writer) {
			invoke.Line(w, "id\t%s", id)
			invoke.Line(w, "secret\t%s", secret)
		})
	})
	return rotate(inv, args)
}

func replayWebhook(inv invoke.Invocation, args []string) error {
	since, err := inv.Flags().GetDuration("since")
	if err != nil {
		return err
	}
	n := 0
	replay := changesWebhookTo("webhook_replayed", func(ctx context.Context, tx pgx.Tx, h *webhook.Service, id string) (err error) {
		n, err = h.ReplayTx(ctx, tx, id, inv.Flag("event"), time.Now().Add(-since))
		return err
	}, func(inv invoke.Invocation, id string) error {
		return inv.Print(map[string]any{"id": id, "events": n}, func(w io.Writer) {
			invoke.Line(w, "a running server tells %s of %d events again", id, n)
		})
	})
	return replay(inv, args)
}

// changesWebhook is a command that changes an endpoint and says how it is now.
func changesWebhook(event, now string, change func(context.Context, pgx.Tx, *webhook.Service, string) error) func(invoke.Invocation, []string) error {
	return changesWebhookTo(event, change, func(inv invoke.Invocation, id string) error {
		return inv.Print(map[string]any{"id": id, now: true}, func(w io.Writer) { invoke.Line(w, "the endpoint %s is %s", id, now) })
	})
}

// changesWebhookTo is a command that changes an endpoint, with the event that records it,
// and prints what came of it.
func changesWebhookTo(event string, change func(context.Context, pgx.Tx, *webhook.Service, string) error, printed func(invoke.Invocation, string) error) func(invoke.Invocation, []string) error {
	return func(inv invoke.Invocation, args []string) error {
		id := args[0]
		return inv.WithWebhooks(func(auth *authcore.Service, hooks *webhook.Service) error {
			err := auth.Audited(inv.Ctx, audit.Event{Type: event, By: invoke.Operator(), Metadata: map[string]any{"endpoint": id}},
				func(ctx context.Context, tx pgx.Tx) error { return change(ctx, tx, hooks, id) })
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			return printed(inv, id)
		})
	}
}
