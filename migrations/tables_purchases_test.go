package migrations_test

// purchaseTables is every table of 0009_purchases.sql and 0037_top_ups.sql.
var purchaseTables = []table{
	{name: "credits.packages", key: "id",
		insert: `INSERT INTO credits.packages (id, name, credits, price_euro_cents) VALUES ('package-' || $1, $1, 100000, 100)`},
	{name: "credits.stripe_customers", key: "user_id",
		insert: `INSERT INTO credits.stripe_customers (user_id, stripe_customer_id) VALUES ($1, 'cus_' || $1)`},
	{name: "credits.purchases", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.purchases (id, user_id, package_id, credits, price_euro_cents)
			VALUES ('purchase-' || $1, $1, 'package-' || $1, 100000, 100)`},
	{name: "credits.top_up_settings", key: "account_id",
		insert: `INSERT INTO credits.top_up_settings (account_id, user_id) VALUES ($1, $1)`},
	{name: "credits.top_ups", key: "id",
		insert: `INSERT INTO credits.top_ups (id, account_id, user_id) VALUES ('top-up-' || $1, $1, $1)`},
	{name: "credits.stripe_events", key: "id",
		insert: `INSERT INTO credits.stripe_events (id, type, livemode, outcome, created_at)
			VALUES ('evt_' || $1, 'charge.refunded', false, 'applied', now())`},
}
