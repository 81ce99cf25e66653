package command

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/internal/mail"
	"mana.how/edge/internal/outbox"
)

func mailCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "mail <command>",
		Short: "Tests the mail server, lists and retries mails that were given up",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	test := &cobra.Command{
		Use:   "test --to <address>",
		Short: "Sends a mail through the configured server",
		Long: `Sends a mail through the server of smtp, at once and from this process. The exit
code is 1 if the server does not take it.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(testMail),
	}
	test.Flags().String("to", "", "Address to send to")
	dead := &cobra.Command{
		Use:   "dead",
		Short: "Lists mails that were given up, without what they say",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(deadMails),
	}
	retry := &cobra.Command{
		Use:   "retry <id>",
		Short: "Has a mail that was given up tried again",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(retryMail),
	}
	group.AddCommand(test, dead, retry)
	return group
}

func testMail(inv invoke.Invocation, _ []string) error {
	to := inv.Flag("to")
	if to == "" {
		return errors.New("say whom to send to: --to <address>")
	}
	source, err := inv.ReadSource()
	if err != nil {
		return err
	}
	settings, err := source.Config.Resolve(source.Env)
	if err != nil {
		return err
	}
	if !settings.SMTP.IsSet() {
		return errors.New("no smtp is configured: mails are written to the log of the server")
	}
	sender, err := mail.NewSMTP(settings.SMTP.Config())
	if err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	if err := sender.Send(inv.Ctx, mail.Letter{
		To: to, Subject: "Mana Edge: test", Text: "This is a test. Mails of " + settings.BaseURL.String() + " arrive here.\n", Kind: "test",
	}); err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	return inv.Print(map[string]string{"to": to, "server": settings.SMTP.Host}, func(w io.Writer) {
		invoke.Line(w, "%s took a mail to %s", settings.SMTP.Host, to)
	})
}

// deadMail is a mail that was given up, in JSON.
type deadMail struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	UserID    string    `json:"userId"`
	Attempts  int       `json:"attempts"`
	CreatedAt time.Time `json:"createdAt"`
	DeadAt    time.Time `json:"deadAt"`
	Error     string    `json:"error"`
}

func deadMails(inv invoke.Invocation, _ []string) error {
	return inv.WithOutbox(func(box *outbox.Box) error {
		list, err := box.Dead(inv.Ctx, 0)
		if err != nil {
			return err
		}
		views := make([]deadMail, len(list))
		for i, l := range list {
			views[i] = deadMail{l.ID, l.Kind, l.UserID, l.Attempts, l.CreatedAt, l.DeadAt, l.LastError}
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tKIND\tUSER\tTRIES\tWRITTEN\tGIVEN UP\tERROR")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s", v.ID, v.Kind, v.UserID, v.Attempts, invoke.Time(v.CreatedAt), invoke.Time(v.DeadAt), v.Error)
			}
		})
	})
}

func retryMail(inv invoke.Invocation, args []string) error {
	return inv.WithOutbox(func(box *outbox.Box) error {
		if err := box.Retry(inv.Ctx, args[0]); err != nil {
			return err
		}
		return inv.Print(map[string]string{"id": args[0]}, func(w io.Writer) {
			invoke.Line(w, "%s is tried again by a running server", args[0])
		})
	})
}
