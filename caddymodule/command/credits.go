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
		Short: "Grants credits, writes off debts, audits and verifies the ledger, and writes its books",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	grant := &cobra.Command{
		Use:   "grant --user <id|email>|--organization <id|slug> --amount <credits> [--reason <text>] [--expires <date|duration>] [--key <text>]",
		Short: "Gives credits to an account",
		Long: `Gives credits to an account, as a row of type gift and appId admin. They may
expire: on a day such as 2027-01-31, which is their last (UTC), at an instant
such as 2027-01-31T12:00:00Z, or after a duration such as 30d. With --key the
command can be repeated without giving twice.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(grantCredits),
	}
	accountFlags(grant)
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
		Use:   "forgive --user <id|email>|--organization <id|slug> [--amount <credits>] --reason <text>",
		Short: "Writes off what an account owes",
		Long: `Writes off what an account owes for credits whose money went back, all of it or
the amount named. The reason and who gave it are kept.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(forgiveDebt),
	}
	accountFlags(forgive)
	forgive.Flags().String("amount", "", "How many credits at most; all that is owed where not given")
	forgive.Flags().String("reason", "", "Why (required)")
	group.AddCommand(grant, forgive, audit, verifyCommand(), booksCommand())
	return group
}

// accountFlags name the account that a command is about.
func accountFlags(cmd *cobra.Command) {
	cmd.Flags().String("user", "", "Id or e-mail address of the user whose account it is")
	cmd.Flags().String("organization", "", "Id or slug of the organisation whose account it is, in place of a user")
}

// checkAccount refuses flags that name no account, or two.
func checkAccount(inv invoke.Invocation) error {
	switch user, organization := inv.Flag("user"), inv.Flag("organization"); {
	case user == "" && organization == "":
		return errors.New("--user is missing, or --organization")
	case user != "" && organization != "":
		return errors.New("--user and --organization name two accounts")
	}
	return nil
}

// owner is whose account a command is about, as it is shown: OrganizationID and
// Name of an organisation, else UserID and Email.
type owner struct {
	UserID         string `json:"userId,omitempty"`
	Email          string `json:"email,omitempty"`
	OrganizationID string `json:"organizationId,omitempty"`
	Name           string `json:"name,omitempty"`
}

func ownerOf(inv invoke.Invocation, c services.Cores) (owner, error) {
	if named := inv.Flag("organization"); named != "" {
		o, err := c.Auth.OrganizationByIDOrSlug(inv.Ctx, invoke.Operator(), named)
		if err != nil {
			return owner{}, fmt.Errorf("%s: %w", named, err)
		}
		return owner{OrganizationID: o.ID, Name: o.Name}, nil
	}
	user, err := c.Auth.UserByIDOrEmail(inv.Ctx, invoke.Operator(), inv.Flag("user"))
	if err != nil {
		return owner{}, fmt.Errorf("%s: %w", inv.Flag("user"), err)
	}
	return owner{UserID: user.ID, Email: user.Email}, nil
}

// account names it in the ledger.
func (o owner) account() string { return creditcore.AccountOf(o.UserID, o.OrganizationID) }

// write shows whose account it is.
func (o owner) write(w io.Writer) {
	if o.OrganizationID != "" {
		invoke.Line(w, "account\t%s (%s)", o.Name, o.OrganizationID)
		return
	}
	invoke.Line(w, "account\t%s (%s)", o.Email, o.UserID)
}

// grantView is a grant in JSON.
type grantView struct {
	TransactionID string `json:"transactionId"`
	owner
	Amount    creditcore.Amount `json:"amount"`
	Balance   creditcore.Amount `json:"balance"`
	Reason    string            `json:"reason"`
	ExpiresAt *time.Time        `json:"expiresAt"`
	// Replayed is set where the key was used before; nothing was given then.
	Replayed bool `json:"replayed"`
}

func grantCredits(inv invoke.Invocation, _ []string) error {
	g, err := grantOf(inv, time.Now())
	if err != nil {
		return err
	}
	return inv.WithCores(func(c services.Cores) error {
		whose, err := ownerOf(inv, c)
		if err != nil {
			return err
		}
		g.UserID = whose.account()
		receipt, err := c.Credits.Grant(inv.Ctx, g)
		if err != nil {
			return err
		}
		view := grantView{
			TransactionID: receipt.Entry.ID, owner: whose, Amount: receipt.Entry.Amount,
			Balance: receipt.Balance.Available, Reason: receipt.Entry.Description, ExpiresAt: g.ExpiresAt, Replayed: receipt.Replayed,
		}
		return inv.Print(view, func(w io.Writer) {
			if view.Replayed {
				invoke.Line(w, "given before under this key; nothing was given now")
			}
			invoke.Line(w, "transaction\t%s", view.TransactionID)
			view.write(w)
			invoke.Line(w, "given\t%s credits", view.Amount)
			invoke.Line(w, "balance\t%s credits", view.Balance)
			invoke.Line(w, "expires\t%s", invoke.OptionalTime(view.ExpiresAt))
		})
	})
}

// forgiveView is what was written off, in JSON.
type forgiveView struct {
	owner
	Forgiven creditcore.Amount `json:"forgiven"`
	Debt     creditcore.Amount `json:"debt"`
	Balance  creditcore.Amount `json:"balance"`
}

func forgiveDebt(inv invoke.Invocation, _ []string) error {
	if err := checkAccount(inv); err != nil {
		return err
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
		whose, err := ownerOf(inv, c)
		if err != nil {
			return err
		}
		forgiven, b, err := c.Credits.Forgive(inv.Ctx, creditcore.Forgiveness{
			UserID: whose.account(), Amount: most, Reason: inv.Flag("reason"), By: invoke.Operator().Name,
		})
		if err != nil {
			return err
		}
		view := forgiveView{owner: whose, Forgiven: forgiven, Debt: b.Debt, Balance: b.Available}
		return inv.Print(view, func(w io.Writer) {
			view.write(w)
			invoke.Line(w, "forgiven\t%s credits", view.Forgiven)
			invoke.Line(w, "debt\t%s credits", view.Debt)
			invoke.Line(w, "balance\t%s credits", view.Balance)
		})
	})
}

// grantOf reads the flags into a grant, all but its account.
func grantOf(inv invoke.Invocation, now time.Time) (creditcore.Grant, error) {
	if err := checkAccount(inv); err != nil {
		return creditcore.Grant{}, err
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
	at, err := momentOf("expires", text, now, 1)
	if err == nil && at != nil && !at.After(now) {
		return nil, fmt.Errorf("--expires: %q is over", text)
	}
	return at, err
}

// momentOf reads a day, an instant or a duration from now, of a flag; nil for none. Of
// a day it is the beginning, so many days later.
func momentOf(flag, text string, now time.Time, later int) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // never
	}
	var at time.Time
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		at = day.AddDate(0, 0, later)
	} else if instant, err := time.Parse(time.RFC3339, text); err == nil {
		at = instant
	} else if d, err := caddy.ParseDuration(text); err == nil {
		at = now.Add(d)
	} else {
		return nil, fmt.Errorf("--%s: %q is neither a day such as 2027-01-31 nor a duration such as 30d", flag, text)
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
		progress := inv.Progress(3)
		progress.Step("ledger")
		report, err := c.Credits.Audit(inv.Ctx)
		progress.Step("gifts")
		var gifts []creditcore.Breach
		if err == nil {
			gifts, err = c.Gifts.Audit(inv.Ctx)
		}
		progress.Step("coupons")
		var coupons []creditcore.Breach
		if err == nil {
			coupons, err = c.Coupons.Audit(inv.Ctx)
		}
		progress.End()
		if err != nil {
			return err
		}
		view := auditView{Accounts: report.Accounts, Entries: report.Entries, Breaches: []breachView{}}
		for _, b := range slices.Concat(report.Breaches, gifts, coupons) {
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
			err = &invoke.Failure{Code: "LEDGER_BROKEN", Err: fmt.Errorf("the ledger breaks its invariants in %d places", len(view.Breaches))}
		}
		return err
	})
}
