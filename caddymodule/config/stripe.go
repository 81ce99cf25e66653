package config

// StripeConfig is the account that takes payments, and what is for sale.
type StripeConfig struct {
	// API key, sk_… or rk_…. Default: STRIPE_SECRET_KEY. Without one purchases
	// are answered with 503; one that is written and comes out empty is a fault.
	SecretKey string `json:"secret_key,omitempty"`

	// Signing secret of the webhook endpoint <base_url>/api/v1/webhooks/stripe,
	// or two of them while it is rotated. Default: STRIPE_WEBHOOK_SECRET (commas
	// between). Without one no payment is ever credited.
	WebhookSecret []string `json:"webhook_secret,omitempty"`

	// Another endpoint of Stripe's API, scheme and host only, for tests.
	// Default: Stripe's own.
	APIURL string `json:"api_url,omitempty"`

	// Where a buyer may return to, beside base_url and trusted_origins: origins,
	// as in trusted_origins, or schemes of apps such as manacore://.
	ReturnURL []string `json:"return_url,omitempty"`

	// How long the monthly credits of a plan outlive their period, as a
	// duration: the next invoice is paid some time after it has begun.
	// Default: 72h.
	Grace string `json:"grace,omitempty"`

	// The plans' ids at Stripe. Plans that are not named here get theirs from
	// STRIPE_<PLAN>_PRODUCT_ID, _PRICE_MONTHLY and _PRICE_YEARLY.
	Plans []PlanConfig `json:"plans,omitempty"`

	// Packages of credits for sale, in the order buyers see. They are written to
	// the database at the start; one that is taken out is no longer for sale.
	Packages []PackageConfig `json:"packages,omitempty"`
}

// PlanConfig ties a subscription plan to Stripe.
type PlanConfig struct {
	// Name of the plan: Free, Plus, Pro or Ultra, in any case.
	Name string `json:"name,omitempty"`
	// Product at Stripe, prod_…. Default: STRIPE_<PLAN>_PRODUCT_ID.
	Product string `json:"product,omitempty"`
	// Price of a month, price_…. Default: STRIPE_<PLAN>_PRICE_MONTHLY.
	Monthly string `json:"monthly,omitempty"`
	// Price of a year, price_…. Default: STRIPE_<PLAN>_PRICE_YEARLY.
	Yearly string `json:"yearly,omitempty"`
	// How many of the credits that a month leaves stay for the next one, a seat.
	// Default: what the database has, at first none.
	Rollover string `json:"rollover,omitempty"`
	// on: an organization pays for each of its members, and has the plan's credits
	// for each; or off. Default: what the database has, at first off.
	PerSeat string `json:"per_seat,omitempty"`
}

// PackageConfig is an amount of credits for a price.
type PackageConfig struct {
	// What buyers see. Each name may stand once.
	Name string `json:"name,omitempty"`
	// How many credits, up to three decimals.
	Credits string `json:"credits,omitempty"`
	// The price in euro cents.
	Cents string `json:"cents,omitempty"`
}
