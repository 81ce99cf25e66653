package command

import (
	"io"

	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
)

func seedCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "seed",
		Short: "Writes plans and packages to the database",
		Long: `Writes the subscription plans, and the packages of credits that the config names,
to the database. What has the same name is brought up to date, so the command
can be repeated. Ids at Stripe come from the config or from
STRIPE_<PLAN>_PRODUCT_ID, _PRICE_MONTHLY and _PRICE_YEARLY.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(seedAction),
	}
}

// seedView is what is for sale, in JSON.
type seedView struct {
	Plans    []planView    `json:"plans"`
	Packages []packageView `json:"packages"`
}

type planView struct {
	Name                  string            `json:"name"`
	MonthlyCredits        creditcore.Amount `json:"monthlyCredits"`
	PriceMonthlyEuroCents int64             `json:"priceMonthlyEuroCents"`
	PriceYearlyEuroCents  int64             `json:"priceYearlyEuroCents"`
	StripePriceIDMonthly  *string           `json:"stripePriceIdMonthly"`
	StripePriceIDYearly   *string           `json:"stripePriceIdYearly"`
}

type packageView struct {
	Name           string            `json:"name"`
	Credits        creditcore.Amount `json:"credits"`
	PriceEuroCents int64             `json:"priceEuroCents"`
}

func seedAction(inv invoke.Invocation, _ []string) error {
	return inv.WithCores(func(c services.Cores) error {
		if err := c.Billing.Seed(inv.Ctx); err != nil {
			return err
		}
		view, err := forSale(c, inv)
		if err != nil {
			return err
		}
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "PLAN\tCREDITS A MONTH\tCENTS A MONTH\tCENTS A YEAR\tSTRIPE")
			for _, p := range view.Plans {
				invoke.Line(w, "%s\t%s\t%d\t%d\t%s", p.Name, p.MonthlyCredits, p.PriceMonthlyEuroCents, p.PriceYearlyEuroCents,
					invoke.OptionalText(p.StripePriceIDMonthly))
			}
			invoke.Line(w, "PACKAGE\tCREDITS\tCENTS")
			for _, p := range view.Packages {
				invoke.Line(w, "%s\t%s\t%d", p.Name, p.Credits, p.PriceEuroCents)
			}
		})
	})
}

// forSale lists the active plans and packages.
func forSale(c services.Cores, inv invoke.Invocation) (seedView, error) {
	view := seedView{Plans: []planView{}, Packages: []packageView{}}
	plans, err := c.Billing.Plans(inv.Ctx)
	if err != nil {
		return view, err
	}
	for _, p := range plans {
		view.Plans = append(view.Plans, planView{
			Name: p.Name, MonthlyCredits: p.MonthlyCredits,
			PriceMonthlyEuroCents: p.PriceMonthlyEuroCents, PriceYearlyEuroCents: p.PriceYearlyEuroCents,
			StripePriceIDMonthly: p.StripePriceIDMonthly, StripePriceIDYearly: p.StripePriceIDYearly,
		})
	}
	packages, err := c.Billing.Packages(inv.Ctx)
	if err != nil {
		return view, err
	}
	for _, p := range packages {
		view.Packages = append(view.Packages, packageView{Name: p.Name, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents})
	}
	return view, nil
}
