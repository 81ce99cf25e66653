package command

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore/proof"
)

// shownBreaches is how many breaches are listed; the others are counted.
const shownBreaches = 1000

func verifyCommand() *cobra.Command {
	verify := &cobra.Command{
		Use:   "verify [--since <date|duration>] [--user <id|email>|--organization <id|slug>]",
		Short: "Verifies that nobody changed the ledger afterwards",
		Long: `Walks the hash chain of every account and makes the signed root of each day
again, and names each row that was changed, taken out or put in since, with what
does not fit. --since takes each chain up at the last root before that day. With
an account only its own chain is walked, and what roots have noted of it. The
exit code is 1 if something was changed. It reads the rows as a stream and can
run beside edges that charge.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(verifyCredits),
	}
	verify.Flags().String("since", "", "Only what came since: a day, an instant, or a duration ago such as 24h or 7d")
	accountFlags(verify)
	return verify
}

// verifyView is a verification in JSON.
type verifyView struct {
	Accounts int64 `json:"accounts"`
	Rows     int64 `json:"rows"`
	// Unchained are rows from before there were hashes.
	Unchained int64 `json:"unchained"`
	Roots     int64 `json:"roots"`
	// Found is how many breaches there are, of which the first are listed.
	Found    int64         `json:"found"`
	Breaches []changedView `json:"breaches"`
}

// changedView is a row or a root that was changed.
type changedView struct {
	Kind     proof.Kind `json:"kind"`
	Account  string     `json:"account,omitempty"`
	Sequence int64      `json:"sequence,omitempty"`
	ID       string     `json:"id,omitempty"`
	Day      string     `json:"day,omitempty"`
	Detail   string     `json:"detail"`
}

func changedViewOf(b proof.Breach) changedView {
	v := changedView{Kind: b.Kind, Account: b.Account, Sequence: b.Sequence, ID: b.ID, Detail: b.Detail}
	if !b.Day.IsZero() {
		v.Day = b.Day.Format(time.DateOnly)
	}
	return v
}

func verifyCredits(inv invoke.Invocation, _ []string) error {
	since, err := sinceOf(inv.Flag("since"), time.Now())
	if err != nil {
		return err
	}
	scope := proof.Scope{Since: since}
	if inv.Flag("user") != "" || inv.Flag("organization") != "" {
		if err := checkAccount(inv); err != nil {
			return err
		}
	}
	return inv.WithCores(func(c services.Cores) error {
		if inv.Flag("user") != "" || inv.Flag("organization") != "" {
			whose, err := ownerOf(inv, c)
			if err != nil {
				return err
			}
			scope.Account = whose.account()
		}
		progress := inv.Progress(1)
		progress.Step("ledger")
		view := verifyView{Breaches: []changedView{}}
		report, err := c.Proof.Verify(inv.Ctx, scope, func(b proof.Breach) error {
			if len(view.Breaches) < shownBreaches {
				view.Breaches = append(view.Breaches, changedViewOf(b))
			}
			return nil
		})
		progress.End()
		if err != nil {
			return err
		}
		view.Accounts, view.Rows, view.Unchained, view.Roots, view.Found = report.Accounts, report.Rows, report.Unchained, report.Roots, report.Breaches
		err = inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "verified %d rows of %d accounts and %d roots", view.Rows, view.Accounts, view.Roots)
			if view.Unchained > 0 {
				invoke.Line(w, "%d rows are from before there were hashes", view.Unchained)
			}
			if len(view.Breaches) > 0 {
				invoke.Line(w, "WHAT\tACCOUNT\tROW\tID\tROOT\tDETAIL")
			}
			for _, x := range view.Breaches {
				invoke.Line(w, "%s\t%s\t%d\t%s\t%s\t%s", x.Kind, x.Account, x.Sequence, x.ID, x.Day, x.Detail)
			}
			if more := view.Found - int64(len(view.Breaches)); more > 0 {
				invoke.Line(w, "and %d more", more)
			}
		})
		if err == nil && view.Found > 0 {
			err = &invoke.Failure{Code: "LEDGER_CHANGED", Err: fmt.Errorf("the ledger was changed in %d places", view.Found)}
		}
		return err
	})
}
