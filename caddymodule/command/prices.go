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
		Short: "Lists prices, and rehearses others",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists the prices of the config",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listPrices),
	}
	rehearse := &cobra.Command{
		Use:   "rehearse [--since <date|duration>] [--by price|user|app|plan]",
		Short: "Says what everybody would have paid by the prices of the config",
		Long: `Goes through what was charged since then and says what it would have cost by the
prices of the config, which --config names: write the new table into a copy of
the Caddyfile and rehearse it before it is loaded. Nothing is charged. Charges
that name no price, one that the table does not have, or no quantity, such as
those of cost_from, stand for what they were and are counted as fixed. A plan is
the one that a user has now.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(rehearsePrices),
	}
	rehearse.Flags().String("since", "30d", "What was charged since: a day, an instant, or a duration ago such as 24h or 30d")
	rehearse.Flags().String("by", string(creditcore.RehearseByPrice), "What it is added up by: price, user, app or plan")
	group.AddCommand(list, rehearse)
	return group
}

// listedPrice is a price in JSON.
type listedPrice struct {
	Name    string            `json:"name"`
	Credits creditcore.Amount `json:"credits"`
	Per     int64             `json:"per"`
	Unit    string            `json:"unit"`
}

func listPrices(inv invoke.Invocation, _ []string) error {
	s, err := inv.ReadSource()
	if err != nil {
		return err
	}
	prices, err := s.Config.ResolvePrices(s.Env)
	if err != nil {
		return err
	}
	views := []listedPrice{}
	for _, p := range prices.All() {
		views = append(views, listedPrice(p))
	}
	return inv.Print(views, func(w io.Writer) {
		invoke.Line(w, "NAME\tCREDITS\tPER\tUNIT")
		for _, p := range views {
			invoke.Line(w, "%s\t%s\t%d\t%s", p.Name, p.Credits, p.Per, p.Unit)
		}
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
		lines, err := c.Credits.Rehearse(inv.Ctx, since, c.Credits.Prices(), creditcore.RehearsalGroup(inv.Flag("by")))
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
