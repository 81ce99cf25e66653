package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

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
		RunE: runs(grantCredits),
	}
	grant.Flags().String("user", "", "Id or e-mail address of the account (required)")
	grant.Flags().String("amount", "", "How many credits, up to three decimals (required)")
	grant.Flags().String("reason", "", "What the user reads in his history")
	grant.Flags().String("expires", "", "When they expire: a day, an instant or a duration")
	grant.Flags().String("key", "", "Idempotency key")

	audit := &cobra.Command{
		Use:   "audit",
		Short: "Checks every invariant of the ledger",
		Long: `Checks that balances, rows, lots, holds and usage agree with each other, and gifts
with them. The exit code is 1 if they do not.`,
		Args: cobra.NoArgs,
		RunE: runs(auditCredits),
	}
	forgive := &cobra.Command{
		Use:   "forgive --user <id|email> [--amount <credits>] --reason <text>",
		Short: "Writes off what an account owes",
		Long: `Writes off what an account owes for credits whose money went back, all of it or
the amount named. The reason and who gave it are kept.`,
		Args: cobra.NoArgs,
		RunE: runs(forgiveDebt),
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

func grantCredits(inv invocation, _ []string) error {
	g, err := grantOf(inv, time.Now())
	if err != nil {
		return err
	}
	return inv.withCores(func(c cores) error {
		user, err := c.auth.UserByIDOrEmail(inv.ctx, operator(), inv.flag("user"))
		if err != nil {
			return fmt.Errorf("%s: %w", inv.flag("user"), err)
		}
		g.UserID = user.ID
		receipt, err := c.ledger.Grant(inv.ctx, g)
		if err != nil {
			return err
		}
		view := grantView{
			TransactionID: receipt.Entry.ID, UserID: user.ID, Email: user.Email, Amount: receipt.Entry.Amount,
			Balance: receipt.Balance.Available, Reason: receipt.Entry.Description, ExpiresAt: g.ExpiresAt, Replayed: receipt.Replayed,
		}
		return inv.print(view, func(w io.Writer) {
			if view.Replayed {
				line(w, "given before under this key; nothing was given now")
			}
			line(w, "transaction\t%s", view.TransactionID)
			line(w, "account\t%s (%s)", view.Email, view.UserID)
			line(w, "given\t%s credits", view.Amount)
			line(w, "balance\t%s credits", view.Balance)
			line(w, "expires\t%s", momentOf(view.ExpiresAt))
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

func forgiveDebt(inv invocation, _ []string) error {
	if inv.flag("user") == "" {
		return errors.New("--user is missing")
	}
	if inv.flag("reason") == "" {
		return errors.New("--reason is missing")
	}
	var most creditcore.Amount
	if text := inv.flag("amount"); text != "" {
		var err error
		if most, err = creditcore.ParseAmount(text); err != nil || most <= 0 {
			return fmt.Errorf("--amount: %q is not a positive number of credits", text)
		}
	}
	return inv.withCores(func(c cores) error {
		user, err := c.auth.UserByIDOrEmail(inv.ctx, operator(), inv.flag("user"))
		if err != nil {
			return fmt.Errorf("%s: %w", inv.flag("user"), err)
		}
		forgiven, b, err := c.ledger.Forgive(inv.ctx, creditcore.Forgiveness{
			UserID: user.ID, Amount: most, Reason: inv.flag("reason"), By: operator().Name,
		})
		if err != nil {
			return err
		}
		view := forgiveView{UserID: user.ID, Email: user.Email, Forgiven: forgiven, Debt: b.Debt, Balance: b.Available}
		return inv.print(view, func(w io.Writer) {
			line(w, "account\t%s (%s)", view.Email, view.UserID)
			line(w, "forgiven\t%s credits", view.Forgiven)
			line(w, "debt\t%s credits", view.Debt)
			line(w, "balance\t%s credits", view.Balance)
		})
	})
}

// grantOf reads the flags into a grant, all but its user.
func grantOf(inv invocation, now time.Time) (creditcore.Grant, error) {
	if inv.flag("user") == "" {
		return creditcore.Grant{}, errors.New("--user is missing")
	}
	amount, err := creditcore.ParseAmount(inv.flag("amount"))
	if err != nil || amount <= 0 {
		return creditcore.Grant{}, fmt.Errorf("--amount: %q is not a positive number of credits", inv.flag("amount"))
	}
	expires, err := expiryOf(inv.flag("expires"), now)
	if err != nil {
		return creditcore.Grant{}, err
	}
	reason := inv.flag("reason")
	if reason == "" {
		reason = "Granted by an administrator"
	}
	metadata, err := json.Marshal(map[string]string{"operator": operator().Name})
	if err != nil {
		return creditcore.Grant{}, err
	}
	return creditcore.Grant{
		Amount: amount, Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin",
		Description: reason, Metadata: metadata, Key: inv.flag("key"), ExpiresAt: expires,
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

func auditCredits(inv invocation, _ []string) error {
	return inv.withCores(func(c cores) error {
		report, err := c.ledger.Audit(inv.ctx)
		if err != nil {
			return err
		}
		gifts, err := c.gifts.Audit(inv.ctx)
		if err != nil {
			return err
		}
		view := auditView{Accounts: report.Accounts, Entries: report.Entries, Breaches: []breachView{}}
		for _, b := range slices.Concat(report.Breaches, gifts) {
			view.Breaches = append(view.Breaches, breachView(b))
		}
		err = inv.print(view, func(w io.Writer) {
			line(w, "checked %d rows of %d accounts", view.Entries, view.Accounts)
			if len(view.Breaches) > 0 {
				line(w, "INVARIANT\tACCOUNT\tDETAIL")
			}
			for _, b := range view.Breaches {
				line(w, "%s\t%s\t%s", b.Invariant, b.UserID, b.Detail)
			}
		})
		if err == nil && len(view.Breaches) > 0 {
			err = fmt.Errorf("the ledger breaks its invariants in %d places", len(view.Breaches))
		}
		return err
	})
}
