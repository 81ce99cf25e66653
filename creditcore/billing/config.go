package billing

import (
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
)

// Config is what an admin decides. Without a SecretKey whatever needs Stripe
// fails with [stripeapi.ErrNotConfigured].
type Config struct {
	SecretKey string
	// WebhookSecrets sign events: one, or two while it is rotated.
	WebhookSecrets []string
	// APIURL is another Stripe endpoint, for tests; empty is Stripe's own.
	APIURL string
	// BaseURL is the site whose pages buyers return to where they name none:
	// scheme and host.
	BaseURL string
	// ReturnURL reports whether a success, cancel or return URL is allowed. Nil
	// allows the site of BaseURL alone.
	ReturnURL func(raw string) bool
	// Plans and Packages are written to the database by [Service.Seed].
	Plans    []catalog.PlanSeed
	Packages []catalog.PackageSeed
	// Grace is how long monthly credits outlive their period, 72 hours where
	// zero: the next invoice is paid some time after it begins.
	Grace time.Duration
}

// Deps is what the service works with. Logger and Now have defaults.
type Deps struct {
	Pool     *pgxpool.Pool
	Ledger   *creditcore.Service
	Logger   *slog.Logger
	Now      func() time.Time
	Observer Observer
}

// Observer receives measurements. Each func may be nil and must not block.
// All labels come from fixed lists.
type Observer struct {
	// Webhook is told of every event: its type ("other" for those we do not
	// act on) and what became of it.
	Webhook func(eventType, outcome string)
	// Drift is told, after each reconciliation, how many purchases were found
	// to differ from Stripe.
	Drift func(kind string, n int)
	// Purchase is told of each step in a purchase's life.
	Purchase func(outcome string)
}
