package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// PlanSeed names what Stripe has of a plan, and terms that the configuration may say.
// What is empty or nil leaves what the database has alone.
type PlanSeed struct {
	// Name is that of a plan, of [PlanNames] or one an admin wrote; case does
	// not count.
	Name         string
	ProductID    string
	PriceMonthly string
	PriceYearly  string
	// Rollover and PerSeat are terms of [Plan].
	Rollover *creditcore.Amount
	PerSeat  *bool
}

// offer is what a plan of the family is.
type offer struct {
	name                 string
	credits              int64 // a month
	monthly, yearly      int64 // cents
	members, orgs        *int32
	isDefault, isCompany bool
	features             []string
}

// offers are the plans of the family, in their order. Free grants nothing by
// itself, see [Plan].
func offers() []offer {
	one, three, five := int32(1), int32(3), int32(5)
	return []offer{
		{name: "Free", credits: 50, isDefault: true, features: []string{
			"Credits nach Bedarf", "Zugang zu allen Apps", "Community-Support",
		}},
		{name: "Plus", credits: 100, monthly: 499, yearly: 4999, members: &one, orgs: &one, features: []string{
			"100 AI-Credits pro Monat", "Zugang zu allen Apps", "Chat und Bilder", "E-Mail-Support",
		}},
		{name: "Pro", credits: 500, monthly: 1199, yearly: 11999, members: &five, orgs: &three, features: []string{
			"500 AI-Credits pro Monat", "Premium-Modelle", "Bevorzugter Support", "API-Zugang", "Erweiterter Export",
		}},
		{name: "Ultra", credits: 2000, monthly: 2499, yearly: 24999, isCompany: true, features: []string{
			"2.000 AI-Credits pro Monat", "Alle Premium-Modelle", "Persönlicher Support", "Unbegrenzter API-Zugang",
			"Team-Funktionen", "Eigene Integrationen",
		}},
	}
}

// PlanNames are the plans of the family, in their order.
func PlanNames() []string {
	var names []string
	for _, o := range offers() {
		names = append(names, o.name)
	}
	return names
}

// seedPlans writes the plans of the family that are missing, and the ids and terms
// that the configuration names. What an admin changed of a plan stays:
// its terms, its texts, and whether it is for sale. It fails for a configured
// plan that does not exist.
func (s *Catalog) seedPlans(ctx context.Context) error {
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('subscriptions.plans'))`); err != nil {
			return err
		}
		for i, o := range offers() {
			if err := seedOffer(ctx, tx, o, i); err != nil {
				return fmt.Errorf("plan %q: %w", o.name, err)
			}
		}
		for _, p := range s.plans {
			if err := seedPrices(ctx, tx, p); err != nil {
				return fmt.Errorf("plan %q: %w", p.Name, err)
			}
		}
		return nil
	})
}

func seedOffer(ctx context.Context, tx pgx.Tx, o offer, order int) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO subscriptions.plans (name, monthly_credits, price_monthly_euro_cents, price_yearly_euro_cents,
			features, max_team_members, max_organizations, is_default, is_enterprise, sort_order)
		SELECT @name, @credits, @monthly, @yearly, @features, @members, @organizations,
			@is_default AND NOT EXISTS (SELECT FROM subscriptions.plans WHERE is_default), @is_enterprise, @order
		WHERE NOT EXISTS (SELECT FROM subscriptions.plans WHERE lower(name) = lower(@name))`, pgx.StrictNamedArgs{
		"name": o.name, "credits": int64(creditcore.Credits(o.credits)), "monthly": o.monthly, "yearly": o.yearly,
		"features": o.features, "members": o.members, "organizations": o.orgs, "is_default": o.isDefault,
		"is_enterprise": o.isCompany, "order": order,
	})
	return err
}

func seedPrices(ctx context.Context, tx pgx.Tx, p PlanSeed) error {
	tag, err := tx.Exec(ctx, `
		UPDATE subscriptions.plans
		SET stripe_product_id = coalesce(nullif(@product_id, ''), stripe_product_id),
			stripe_price_id_monthly = coalesce(nullif(@monthly, ''), stripe_price_id_monthly),
			stripe_price_id_yearly = coalesce(nullif(@yearly, ''), stripe_price_id_yearly),
			rollover_credits = coalesce(@rollover, rollover_credits),
			per_seat = coalesce(@per_seat, per_seat),
			updated_at = CASE
				WHEN @product_id IN ('', stripe_product_id) AND @monthly IN ('', stripe_price_id_monthly) AND @yearly IN ('', stripe_price_id_yearly)
					AND coalesce(@rollover, rollover_credits) = rollover_credits AND coalesce(@per_seat, per_seat) = per_seat
				THEN updated_at ELSE now() END
		WHERE lower(name) = lower(@name)`, pgx.StrictNamedArgs{
		"name": p.Name, "product_id": p.ProductID, "monthly": p.PriceMonthly, "yearly": p.PriceYearly,
		"rollover": p.Rollover, "per_seat": p.PerSeat,
	})
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrPlanNotFound
	}
	return err
}
