package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Plan is what can be subscribed to.
//
// MonthlyCredits are granted for what is paid, see [billing.Service.Run]. A plan
// without a price grants nothing, whatever it says: accounts start at zero and
// there are no free credits.
//
// RolloverCredits bounds what months of the plan leave to the next one, a seat; zero is
// nothing. With PerSeat an organisation pays for as many as it has members, or more, and
// is granted the credits of each.
type Plan struct {
	ID                    string
	Name                  string
	Description           *string
	MonthlyCredits        creditcore.Amount
	RolloverCredits       creditcore.Amount
	PerSeat               bool
	PriceMonthlyEuroCents int64
	PriceYearlyEuroCents  int64
	StripePriceIDMonthly  *string
	StripePriceIDYearly   *string
	StripeProductID       *string
	Features              []string
	MaxTeamMembers        *int32
	MaxOrganizations      *int32
	IsDefault             bool
	IsEnterprise          bool
	Active                bool
	SortOrder             int32
	Metadata              json.RawMessage
	CreatedAt             time.Time
	UpdatedAt             time.Time
}

const planColumns = `id, name, description, monthly_credits, rollover_credits, per_seat, price_monthly_euro_cents, price_yearly_euro_cents,
	stripe_price_id_monthly, stripe_price_id_yearly, stripe_product_id, features, max_team_members,
	max_organizations, is_default, is_enterprise, active, sort_order, metadata, created_at, updated_at`

// Plans lists what can be subscribed to, in the seller's order. Anybody may
// ask.
func (s *Catalog) Plans(ctx context.Context) ([]Plan, error) {
	return dbscope.List[Plan](ctx, s.db, dbscope.System(), `
		SELECT `+planColumns+`
		FROM subscriptions.plans
		WHERE active
		ORDER BY sort_order, price_monthly_euro_cents, id`)
}

// Plan is one plan, for sale or not, or [ErrPlanNotFound]. Anybody may ask.
func (s *Catalog) Plan(ctx context.Context, id string) (Plan, error) {
	p, err := dbscope.One[Plan](ctx, s.db, dbscope.System(), `
		SELECT `+planColumns+`
		FROM subscriptions.plans
		WHERE id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, ErrPlanNotFound
	}
	return p, err
}

// DefaultPlan is that of users without a subscription, nil where there is
// none.
func (s *Catalog) DefaultPlan(ctx context.Context) (*Plan, error) {
	found, err := dbscope.List[Plan](ctx, s.db, dbscope.System(), `
		SELECT `+planColumns+`
		FROM subscriptions.plans
		WHERE is_default
		ORDER BY active DESC, sort_order, id
		LIMIT 1`)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// Interval is how often a subscription is paid.
type Interval string

// Intervals that can be subscribed to. Others exist only where a price of
// Stripe has them.
const (
	Monthly Interval = "month"
	Yearly  Interval = "year"
)

// Price is the id of a plan's price. It fails with [ErrNoMonthlyPrice] or
// [ErrNoYearlyPrice].
func (p Plan) Price(every Interval) (string, error) {
	id, missing := p.StripePriceIDMonthly, ErrNoMonthlyPrice
	if every == Yearly {
		id, missing = p.StripePriceIDYearly, ErrNoYearlyPrice
	}
	if id == nil {
		return "", missing
	}
	return *id, nil
}
