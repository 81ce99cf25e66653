package catalog

import (
	"context"
	"errors"

	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// Currency is what everything is sold in.
const Currency = "eur"

// Errors of packages and plans. The texts are part of the wire contract; test
// with [errors.Is], never by text.
var (
	ErrPackageNotFound = errors.New("Package not found or inactive")
	ErrPlanNotFound    = errors.New("Plan not found")
	ErrNoMonthlyPrice  = errors.New("No Stripe price configured for month billing")
	ErrNoYearlyPrice   = errors.New("No Stripe price configured for year billing")
)

// Catalog is what is for sale. It is safe for concurrent use.
type Catalog struct {
	db dbscope.DB
	// stripe is nil without a key.
	stripe   *stripeapi.Client
	plans    []PlanSeed
	packages []PackageSeed
}

// New makes a catalog. Plans and packages are written to the database by
// [Catalog.Seed]. Without a client nothing can be sold.
func New(db dbscope.DB, client *stripeapi.Client, plans []PlanSeed, packages []PackageSeed) *Catalog {
	return &Catalog{db: db, stripe: client, plans: plans, packages: packages}
}

// Seed writes the configured packages and plans.
func (s *Catalog) Seed(ctx context.Context) error {
	return errors.Join(s.seedPackages(ctx), s.seedPlans(ctx))
}
