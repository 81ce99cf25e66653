package migrations_test

// subscriptionTables is every table of 0010_subscriptions.sql.
var subscriptionTables = []table{
	{name: "subscriptions.plans", key: "id",
		insert: `INSERT INTO subscriptions.plans (id, name) VALUES ('plan-' || $1, $1)`},
	{name: "subscriptions.prices", key: "stripe_price_id",
		insert: `INSERT INTO subscriptions.prices (stripe_price_id, plan_id) VALUES ('price_' || $1, 'plan-' || $1)`},
	{name: "subscriptions.subscriptions", key: "id", reads: true, admin: true,
		insert: `INSERT INTO subscriptions.subscriptions (id, user_id, plan_id, stripe_subscription_id)
			VALUES ('subscription-' || $1, $1, 'plan-' || $1, 'sub_' || $1)`},
	{name: "subscriptions.checkouts", key: "user_id",
		insert: `INSERT INTO subscriptions.checkouts (user_id, stripe_session_id, url, fingerprint, expires_at, revision)
			VALUES ($1, 'cs_' || $1, '', '', now(), 1)`},
	{name: "subscriptions.invoices", key: "id", reads: true, admin: true,
		insert: `INSERT INTO subscriptions.invoices (id, user_id, subscription_id, stripe_invoice_id, status, amount_due_euro_cents)
			VALUES ('invoice-' || $1, $1, 'subscription-' || $1, 'in_' || $1, 'open', 499)`},
	{name: "subscriptions.cuts", key: "id",
		insert: `INSERT INTO subscriptions.cuts (id, user_id, invoice_id, stripe_subscription_id, stripe_price_id, starts_at, ends_at)
			VALUES ('il_cut_' || $1, $1, 'invoice-' || $1, 'sub_' || $1, 'price_' || $1, now(), now() + interval '1 month')`},
	{name: "subscriptions.allotments", key: "id",
		insert: `INSERT INTO subscriptions.allotments (id, user_id, invoice_id, stripe_subscription_id, stripe_price_id, plan_id, line_id,
				line_starts_at, starts_at, ends_at, credits)
			VALUES ('il_' || $1 || ':0', $1, 'invoice-' || $1, 'sub_' || $1, 'price_' || $1, 'plan-' || $1, 'il_' || $1,
				now(), now(), now() + interval '1 month', 100000)`},
}
