package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
)

func creditsCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "credits <command>",
		Short: "Grants credits, writes off debts and audits the ledger",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	grant := &cobra.Command{
		Use:   "grant --user <id|email> --amount <credits> [--reason <text>] [--expires <date|duration>] [--key <text>]",
		Short: "Gives credits to an account",
		Long: `Gives credits to an account, as a row of type gift and appId admin. They may
expire: on a day such as 2027-01-31, which is their last (UTC), at an instant
such as 2027-01-31T12:00:00Z, or after a duration such as 30d. With --key the
command can be repeated without giving twice.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(grantCredits),
	}
	grant.Flags().String("user", "", "Id or e-mail address of the account (required)")
	grant.Flags().String("amount", "", "How many credits, up to three decimals (required)")
	grant.Flags().String("reason", "", "What the user reads in their history")
	grant.Flags().String("expires", "", "When they expire: a day, an instant or a duration")
	grant.Flags().String("key", "", "Idempotency key")

	audit := &cobra.Command{
		Use:   "audit",
		Short: "Checks every invariant of the ledger",
		Long: `Checks that balances, rows, lots, holds and usage agree with each other, and gifts
with them. The exit code is 1 if they do not.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(auditCredits),
	}
	forgive := &cobra.Command{
		Use:   "forgive --user <id|email> [--amount <credits>] --reason <text>",
		Short: "Writes off what an account owes",
		Long: `Writes off what an account owes for credits whose money went back, all of it or
the amount named. The reason and who gave it are kept.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(forgiveDebt),
	}
	forgive.Flags().String("user", "", "Id or e-mail address of the account (required)")
	forgive.Flags().String("amount", "", "How many credits at most; all that is owed where not given")
	forgive.Flags().String("reason", "", "Why (required)")
	group.AddCommand(grant, forgive, audit)
	return group
}

// grantView is a grant in JSON.
type grantView struct {
	TransactionID string            `json:"transactionId"`
	UserID        string            `json:"userId"`
	Email         string            `json:"email"`
	Amount        creditcore.Amount `json:"amount"`
	Balance       creditcore.Amount `json:"balance"`
	Reason        string            `json:"reason"`
	ExpiresAt     *time.Time        `json:"expiresAt"`
	// Replayed is set where the key was used before; nothing was given then.
	Replayed bool `json:"replayed"`
}

func grantCredits(inv invoke.Invocation, _ []string) error {
	g, err := grantOf(inv, time.Now())
	if err != nil {
		return err
	}
	return inv.WithCores(func(c services.Cores) error {
		user, err := c.Auth.UserByIDOrEmail(inv.Ctx, invoke.Operator(), inv.Flag("user"))
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Flag("user"), err)
		}
		g.UserID = user.ID
		receipt, err := c.Credits.Grant(inv.Ctx, g)
		if err != nil {
			return err
		}
		view := grantView{
			TransactionID: receipt.Entry.ID, UserID: user.ID, Email: user.Email, Amount: receipt.Entry.Amount,
			Balance: receipt.Balance.Available, Reason: receipt.Entry.Description, ExpiresAt: g.ExpiresAt, Replayed: receipt.Replayed,
		}
		return inv.Print(view, func(w io.Writer) {
			if view.Replayed {
				invoke.Line(w, "given before under this key; nothing was given now")
			}
			invoke.Line(w, "transaction\t%s", view.TransactionID)
			invoke.Line(w, "account\t%s (%s)", view.Email, view.UserID)
			invoke.Line(w, "given\t%s credits", view.Amount)
			invoke.Line(w, "balance\t%s credits", view.Balance)
			invoke.Line(w, "expires\t%s", invoke.OptionalTime(view.ExpiresAt))
		})
	})
}

// forgiveView is what was written off, in JSON.
type forgiveView struct {
	UserID   string            `json:"userId"`
	Email    string            `json:"email"`
	Forgiven creditcore.Amount `json:"forgiven"`
	Debt     creditcore.Amount `json:"debt"`
	Balance  creditcore.Amount `json:"balance"`
}

func forgiveDebt(inv invoke.Invocation, _ []string) error {
	if inv.Flag("user") == "" {
		return errors.New("--user is missing")
	}
	if inv.Flag("reason") == "" {
		return errors.New("--reason is missing")
	}
	var most creditcore.Amount
	if text := inv.Flag("amount"); text != "" {
		var err error
		if most, err = creditcore.ParseAmount(text); err != nil || most <= 0 {
			return fmt.Errorf("--amount: %q is not a positive number of credits", text)
		}
	}
	return inv.WithCores(func(c services.Cores) error {
		user, err := c.Auth.UserByIDOrEmail(inv.Ctx, invoke.Operator(), inv.Flag("user"))
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Flag("user"), err)
		}
		forgiven, b, err := c.Credits.Forgive(inv.Ctx, creditcore.Forgiveness{
			UserID: user.ID, Amount: most, Reason: inv.Flag("reason"), By: invoke.Operator().Name,
		})
		if err != nil {
			return err
		}
		view := forgiveView{UserID: user.ID, Email: user.Email, Forgiven: forgiven, Debt: b.Debt, Balance: b.Available}
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "account\t%s (%s)", view.Email, view.UserID)
			invoke.Line(w, "forgiven\t%s credits", view.Forgiven)
			invoke.Line(w, "debt\t%s credits", view.Debt)
			invoke.Line(w, "balance\t%s credits", view.Balance)
		})
	})
}

// grantOf reads the flags into a grant, all but its user.
func grantOf(inv invoke.Invocation, now time.Time) (creditcore.Grant, error) {
	if inv.Flag("user") == "" {
		return creditcore.Grant{}, errors.New("--user is missing")
	}
	amount, err := creditcore.ParseAmount(inv.Flag("amount"))
	if err != nil || amount <= 0 {
		return creditcore.Grant{}, fmt.Errorf("--amount: %q is not a positive number of credits", inv.Flag("amount"))
	}
	expires, err := expiryOf(inv.Flag("expires"), now)
	if err != nil {
		return creditcore.Grant{}, err
	}
	reason := inv.Flag("reason")
	if reason == "" {
		reason = "Granted by an administrator"
	}
	metadata, err := json.Marshal(map[string]string{"operator": invoke.Operator().Name})
	if err != nil {
		return creditcore.Grant{}, err
	}
	return creditcore.Grant{
		Amount: amount, Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin",
		Description: reason, Metadata: metadata, Key: inv.Flag("key"), ExpiresAt: expires,
	}, nil
}

// expiryOf reads a day, whose end is meant, an instant or a duration from now.
func expiryOf(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // never
	}
	var at time.Time
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		at = day.AddDate(0, 0, 1)
	} else if instant, err := time.Parse(time.RFC3339, text); err == nil {
		at = instant
	} else if d, err := caddy.ParseDuration(text); err == nil {
		at = now.Add(d)
	} else {
		return nil, fmt.Errorf("--expires: %q is neither a day such as 2027-01-31 nor a duration such as 30d", text)
	}
	if !at.After(now) {
		return nil, fmt.Errorf("--expires: %q is over", text)
	}
	return &at, nil
}

// auditView is an audit in JSON.
type auditView struct {
	Accounts int64        `json:"accounts"`
	Entries  int64        `json:"entries"`
	Breaches []breachView `json:"breaches"`
}

type breachView struct {
	Invariant string `json:"invariant"`
	UserID    string `json:"userId"`
	Detail    string `json:"detail"`
}

func auditCredits(inv invoke.Invocation, _ []string) error {
	return inv.WithCores(func(c services.Cores) error {
		report, err := c.Credits.Audit(inv.Ctx)
		if err != nil {
			return err
		}
		gifts, err := c.Gifts.Audit(inv.Ctx)
		if err != nil {
			return err
		}
		view := auditView{Accounts: report.Accounts, Entries: report.Entries, Breaches: []breachView{}}
		for _, b := range slices.Concat(report.Breaches, gifts) {
			view.Breaches = append(view.Breaches, breachView(b))
		}
		err = inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "checked %d rows of %d accounts", view.Entries, view.Accounts)
			if len(view.Breaches) > 0 {
				invoke.Line(w, "INVARIANT\tACCOUNT\tDETAIL")
			}
			for _, b := range view.Breaches {
				invoke.Line(w, "%s\t%s\t%s", b.Invariant, b.UserID, b.Detail)
			}
		})
		if err == nil && len(view.Breaches) > 0 {
			err = fmt.Errorf("the ledger breaks its invariants in %d places", len(view.Breaches))
		}
		return err
	})
}
