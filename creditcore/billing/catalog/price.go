package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// PlanPrice is a price of Stripe that one of our plans is, or was, sold at.
type PlanPrice struct {
	PriceID        string
	PlanID         string
	PlanName       string
	MonthlyCredits creditcore.Amount
	// The terms are zero until they were fetched.
	UnitAmount  int64 // cents for one period
	Currency    string
	Period      string // day, week, month or year
	PeriodCount int64

	fetched bool // just now, and not yet stored
}

// Prices finds our prices among ids. Those of other products are missing
// in the answer.
func (s *Catalog) Prices(ctx context.Context, ids []string) (map[string]PlanPrice, error) {
	found, err := dbscope.List[PlanPrice](ctx, s.db, dbscope.System(), `
		SELECT r.stripe_price_id AS price_id, r.plan_id, p.name AS plan_name, p.monthly_credits,
			coalesce(r.unit_amount, 0) AS unit_amount, coalesce(r.currency, '') AS currency,
			coalesce(r.period, '') AS period, coalesce(r.period_count, 0)::bigint AS period_count
		FROM subscriptions.prices r
		JOIN subscriptions.plans p ON p.id = r.plan_id
		WHERE r.stripe_price_id = ANY ($1::text[])`, ids)
	if err != nil {
		return nil, err
	}
	prices := make(map[string]PlanPrice, len(found))
	for _, p := range found {
		prices[p.PriceID] = p
	}
	return prices, nil
}

// FetchTerms asks Stripe for the terms of prices that we have not seen paid yet.
func (s *Catalog) FetchTerms(ctx context.Context, prices map[string]PlanPrice) error {
	for id, p := range prices {
		if p.PeriodCount > 0 {
			continue
		}
		ctx, cancel := stripeapi.WithTimeout(ctx)
		price, err := s.stripe.V1Prices.Retrieve(ctx, id, nil)
		cancel()
		if err != nil {
			return fmt.Errorf("fetch price %s: %w", id, err)
		}
		p.UnitAmount, p.Currency, p.Period, p.PeriodCount = price.UnitAmount, string(price.Currency), string(Monthly), 1
		if price.Recurring != nil && price.Recurring.IntervalCount > 0 {
			p.Period, p.PeriodCount = string(price.Recurring.Interval), price.Recurring.IntervalCount
		}
		p.fetched = true
		prices[id] = p
	}
	return nil
}

// StoreTerms keeps what [Catalog.FetchTerms] found.
func StoreTerms(ctx context.Context, tx pgx.Tx, prices map[string]PlanPrice) error {
	for _, p := range prices {
		if !p.fetched {
			continue
		}
		_, err := tx.Exec(ctx, `
			UPDATE subscriptions.prices
			SET unit_amount = @unit_amount, currency = @currency, period = @period, period_count = @period_count
			WHERE stripe_price_id = @id`, pgx.StrictNamedArgs{
			"id": p.PriceID, "unit_amount": p.UnitAmount, "currency": p.Currency, "period": p.Period,
			"period_count": p.PeriodCount,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// PeriodCredits are what one paid period of the price is due: the plan's
// credits for each of its months, and a share of them for days and weeks.
func (p PlanPrice) PeriodCredits() creditcore.Amount {
	const month = 30 // days, for periods that are shorter
	n := creditcore.Amount(p.PeriodCount)
	switch stripe.PriceRecurringInterval(p.Period) {
	case stripe.PriceRecurringIntervalYear:
		return p.MonthlyCredits * 12 * n
	case stripe.PriceRecurringIntervalWeek:
		return p.MonthlyCredits.Share(7*int64(n), month)
	case stripe.PriceRecurringIntervalDay:
		return p.MonthlyCredits.Share(int64(n), month)
	}
	return p.MonthlyCredits * n
}
