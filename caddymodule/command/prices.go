package command

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
)

func pricesCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "prices <command>",
		Short: "Lists prices, rehearses others and publishes them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists the prices in force",
		Long: `Lists the prices in force: those of the version of the price book, and for names
that it does not have those of the config, with 0 as their version.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(listPrices),
	}
	rehearse := &cobra.Command{
		Use:   "rehearse [--since <date|duration>] [--by price|user|app|plan]",
		Short: "Says what everybody would have paid by the prices of the config",
		Long: `Goes through what was charged since then and says what it would have cost by the
prices of the config, which --config names: write the new table into a copy of
the Caddyfile and rehearse it before it is loaded or published. Nothing is
charged. Charges that name no price, one that the table does not have, or no
quantity, such as those of cost_from, stand for what they were and are counted as
fixed. A plan is the one that a user has now.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(rehearsePrices),
	}
	rehearse.Flags().String("since", "30d", "What was charged since: a day, an instant, or a duration ago such as 24h or 30d")
	rehearse.Flags().String("by", string(creditcore.RehearseByPrice), "What it is added up by: price, user, app or plan")
	publish := &cobra.Command{
		Use:   "publish --reason <text> [--effective <instant>] [--file <path>]",
		Short: "Publishes prices as a version of the price book",
		Long: `Publishes the prices of the config, or of a file with the lines of its block, as
the next version of the price book. Every edge charges by it from the instant on,
at once where none is given, without a reload. Prices that the version does not
have stand as the config has them.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(publishPrices),
	}
	publish.Flags().String("reason", "", "Why: it stands in the history")
	publish.Flags().String("effective", "", "From when: an instant to come such as 2027-01-31T00:00:00Z, or a day (UTC)")
	publish.Flags().String("file", "", "A file with lines such as chat.generate 5, in place of the config's")
	withdraw := &cobra.Command{
		Use:   "withdraw <version> --reason <text>",
		Short: "Withdraws a version that is still to come",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(withdrawPrices),
	}
	withdraw.Flags().String("reason", "", "Why: it stands in the history")
	history := &cobra.Command{
		Use:   "history [--limit <n>]",
		Short: "Lists the versions of the price book, the last first",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(priceHistory),
	}
	history.Flags().Int("limit", 20, "How many, at most 1000")
	group.AddCommand(list, rehearse, publish, withdraw, history)
	return group
}

// listedPrice is a price in JSON. Version is 0 for a price of the config.
type listedPrice struct {
	Name    string                 `json:"name"`
	Credits creditcore.Amount      `json:"credits"`
	Per     int64                  `json:"per"`
	Unit    string                 `json:"unit"`
	Tiers   []creditcore.Tier      `json:"tiers,omitempty"`
	Plans   []creditcore.PlanPrice `json:"plans,omitempty"`
	Version int64                  `json:"version"`
}

func listedPrices(prices creditcore.Prices) []listedPrice {
	views := []listedPrice{}
	for _, p := range prices.All() {
		views = append(views, listedPrice{p.Name, p.Credits, p.Per, p.Unit, p.Tiers, p.Plans, p.Version})
	}
	return views
}

func listPrices(inv invoke.Invocation, _ []string) error {
	return inv.WithCores(func(c services.Cores) error {
		prices := c.Credits.Prices()
		return inv.Print(listedPrices(prices), func(w io.Writer) {
			invoke.Line(w, "NAME\tPRICE\tVERSION")
			for _, p := range prices.All() {
				invoke.Line(w, "%s\t%s\t%d", p.Name, p.Terms(), p.Version)
			}
		})
	})
}

// rehearsedView is a line of a rehearsal in JSON, and the sum of them.
type rehearsedView struct {
	Key        string            `json:"key"`
	Charges    int64             `json:"charges"`
	Fixed      int64             `json:"fixed"`
	Paid       creditcore.Amount `json:"paid"`
	Would      creditcore.Amount `json:"would"`
	Difference creditcore.Amount `json:"difference"`
}

type rehearsalView struct {
	Since time.Time       `json:"since"`
	Lines []rehearsedView `json:"lines"`
	Sum   rehearsedView   `json:"sum"`
}

func rehearsePrices(inv invoke.Invocation, _ []string) error {
	since, err := sinceOf(inv.Flag("since"), time.Now())
	if err != nil {
		return err
	}
	return inv.WithCores(func(c services.Cores) error {
		lines, err := c.Credits.Rehearse(inv.Ctx, since, c.Credits.ConfigPrices(), creditcore.RehearsalGroup(inv.Flag("by")))
		if err != nil {
			return err
		}
		view := rehearsalView{Since: since.UTC(), Lines: make([]rehearsedView, len(lines))}
		for i, l := range lines {
			view.Lines[i] = rehearsedView{l.Key, l.Charges, l.Fixed, l.Paid, l.Would, l.Would - l.Paid}
			view.Sum.Charges += l.Charges
			view.Sum.Fixed += l.Fixed
			view.Sum.Paid += l.Paid
			view.Sum.Would += l.Would
		}
		view.Sum.Key, view.Sum.Difference = "all", view.Sum.Would-view.Sum.Paid
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "%s\tCHARGES\tFIXED\tPAID\tWOULD PAY\tDIFFERENCE", inv.Flag("by"))
			for _, l := range append(view.Lines, view.Sum) {
				invoke.Line(w, "%s\t%d\t%d\t%s\t%s\t%s", invoke.OptionalText(&l.Key), l.Charges, l.Fixed, l.Paid, l.Would, l.Difference)
			}
		})
	})
}
