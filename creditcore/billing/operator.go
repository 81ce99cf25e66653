package billing

import (
	"context"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// SalesQuery pages through what was sold, the newest first. Empty fields select
// all.
type SalesQuery struct {
	UserID, Status string
	Before         keyset.Cursor
	Limit          int
}

// SoldPackage is a purchase as it stands here and, by its ids, at Stripe.
type SoldPackage struct {
	ID                string
	UserID            string // the account
	Email             string // of the user whose account it is
	Organization      string // its name, where it is that of one
	Package           string // its name, empty for one that is no more
	Credits           creditcore.Amount
	PriceEuroCents    int64
	Status            string
	Kind              string // intent or checkout
	Intent            string // Stripe's id of the payment, empty without one
	ReversedEuroCents int64  // refunded, or held back by a dispute
	Shortfall         creditcore.Amount
	CreatedAt         time.Time
	CompletedAt       *time.Time
}

// accountColumns and accountTables tell whose account a sale is for. That of an
// organisation that is gone has neither.
const accountColumns = `coalesce(u.email, '') AS email, coalesce(o.name, '') AS organization`

func accountTables(sale string) string {
	return `LEFT JOIN auth.users AS u ON u.id = ` + sale + `.user_id
		LEFT JOIN auth.organizations AS o ON o.id = CASE WHEN starts_with(` + sale + `.user_id, 'org:') THEN substr(` + sale + `.user_id, 5) END`
}

// PurchasePage lists purchases of everybody, for operators, and returns the cursor
// of the next page.
func (s *Service) PurchasePage(ctx context.Context, q SalesQuery) ([]SoldPackage, keyset.Cursor, error) {
	sql, args := purchasePageSQL(q)
	list, err := dbscope.List[SoldPackage](ctx, s.db, dbscope.System(), sql, args...)
	list, next := keyset.Cut(list, q.Limit, func(p SoldPackage) keyset.Cursor { return keyset.Cursor{At: p.CreatedAt, ID: p.ID} })
	return list, next, err
}

func purchasePageSQL(q SalesQuery) (sql string, args []any) {
	w := q.where("p")
	return `SELECT p.id, p.user_id, ` + accountColumns + `, coalesce(k.name, '') AS package, p.credits, p.price_euro_cents, p.status, p.kind,
		  coalesce(p.stripe_payment_intent_id, '') AS intent, p.reversed_euro_cents, p.shortfall, p.created_at, p.completed_at
		FROM credits.purchases AS p
		` + accountTables("p") + `
		LEFT JOIN credits.packages AS k ON k.id = p.package_id` + w.String() + keyset.Newest("p") + ` LIMIT ` + w.Arg(q.Limit+1), w.Args()
}

func (q SalesQuery) where(table string) *keyset.Where {
	w := new(keyset.Where)
	if q.UserID != "" {
		w.And(table+`.user_id = ?`, q.UserID)
	}
	if q.Status != "" {
		w.And(table+`.status = ?`, q.Status)
	}
	w.Before(table, q.Before)
	return w
}

// SoldPlan is a subscription as Stripe last had it.
type SoldPlan struct {
	ID                   string
	UserID               string // the account
	Email                string // of the user whose account it is
	Organization         string // its name, where it is that of one
	Plan                 string
	Status               string
	BillingInterval      string
	StripeSubscriptionID string // empty for one that Stripe does not know
	CurrentPeriodEnd     *time.Time
	CancelAtPeriodEnd    bool
	Seats                int
	CreatedAt            time.Time
}

// SubscriptionPage lists subscriptions of everybody, for operators, and returns the
// cursor of the next page.
func (s *Service) SubscriptionPage(ctx context.Context, q SalesQuery) ([]SoldPlan, keyset.Cursor, error) {
	w := q.where("s")
	list, err := dbscope.List[SoldPlan](ctx, s.db, dbscope.System(),
		`SELECT s.id, s.user_id, `+accountColumns+`, p.name AS plan, s.status, s.billing_interval,
		  coalesce(s.stripe_subscription_id, '') AS stripe_subscription_id, s.current_period_end, s.cancel_at_period_end, s.seats, s.created_at
		FROM subscriptions.subscriptions AS s
		`+accountTables("s")+`
		JOIN subscriptions.plans AS p ON p.id = s.plan_id`+w.String()+keyset.Newest("s")+` LIMIT `+w.Arg(q.Limit+1), w.Args()...)
	list, next := keyset.Cut(list, q.Limit, func(p SoldPlan) keyset.Cursor { return keyset.Cursor{At: p.CreatedAt, ID: p.ID} })
	return list, next, err
}

// Offer is a package or a plan, for sale or not. A price of zero is none.
type Offer struct {
	ID, Name    string
	Plan        bool
	Credits     creditcore.Amount // a month, of a plan
	RollsOver   creditcore.Amount // of what a month leaves
	PerSeat     bool
	Cents       int64 // a month, of a plan
	YearlyCents int64 // of a plan
	Active      bool
	Priced      bool // Stripe has a price of it
}

// Offers are all packages and plans, those for sale first, for operators.
func (s *Service) Offers(ctx context.Context) ([]Offer, error) {
	return dbscope.List[Offer](ctx, s.db, dbscope.System(),
		`SELECT * FROM (
			SELECT p.id, p.name, false AS plan, p.credits, 0::bigint AS rolls_over, false AS per_seat, p.price_euro_cents AS cents, 0::bigint AS yearly_cents, p.active,
			       p.stripe_price_id IS NOT NULL AS priced
			FROM credits.packages AS p
		UNION ALL
			SELECT p.id, p.name, true, p.monthly_credits, p.rollover_credits, p.per_seat, p.price_monthly_euro_cents, p.price_yearly_euro_cents, p.active,
			       coalesce(p.stripe_price_id_monthly, p.stripe_price_id_yearly) IS NOT NULL
			FROM subscriptions.plans AS p
		) AS o
		ORDER BY o.active DESC, o.plan, o.cents, o.id
		LIMIT 500`)
}
