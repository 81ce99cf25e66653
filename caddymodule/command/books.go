package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore/bookkeeping"
)

func booksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "books [--kind accounts|days|deferred] [--from <day>] [--to <day>]",
		Short: "Writes the books of a period as CSV",
		Long: `Writes CSV to the standard output. accounts has a line for each account on each
day (UTC) that something happened to it, with what it opened with, the sums of
its purchases, gifts, refunds, usage, expiry and adjustments, and what it closed
with. days has all accounts together, a line for each day. deferred is what is
left now of credits that were paid for, with the share of the money that is
received and not earned; it reads no period. --from is the first day of last
month where not given, --to, the last day, that of the month of --from.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(writeBooks),
	}
	cmd.Flags().String("kind", string(bookkeeping.Accounts), "What is written: accounts, days or deferred")
	cmd.Flags().String("from", "", "The first day, such as 2026-10-01")
	cmd.Flags().String("to", "", "The last day, such as 2026-10-31")
	return cmd
}

func writeBooks(inv invoke.Invocation, _ []string) error {
	from, to, err := periodOf(inv.Flag("from"), inv.Flag("to"), time.Now())
	if err != nil {
		return err
	}
	kind := bookkeeping.Kind(inv.Flag("kind"))
	if !kind.Known() {
		return fmt.Errorf("--kind: %q is neither accounts, days nor deferred", kind)
	}
	return inv.WithCores(func(c services.Cores) error {
		return bookkeeping.Write(inv.Ctx, inv.OutOrStdout(), c.Credits, kind, from, to)
	})
}

// periodOf reads a first and a last day, and returns the day behind it.
func periodOf(first, last string, now time.Time) (from, to time.Time, err error) {
	year, month, _ := now.UTC().Date()
	from = time.Date(year, month-1, 1, 0, 0, 0, 0, time.UTC)
	if first != "" {
		if from, err = time.Parse(time.DateOnly, first); err != nil {
			return from, to, fmt.Errorf("--from: %q is not a day such as 2026-10-01", first)
		}
	}
	if last == "" {
		return from, time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, time.UTC), nil
	}
	if to, err = time.Parse(time.DateOnly, last); err != nil {
		return from, to, fmt.Errorf("--to: %q is not a day such as 2026-10-31", last)
	}
	return from, to.AddDate(0, 0, 1), nil
}
