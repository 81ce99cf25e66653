package migrations_test

// creditTables is every table of the ledger.
var creditTables = []table{
	{name: "credits.balances", key: "user_id", reads: true, admin: true,
		insert: `INSERT INTO credits.balances (user_id) VALUES ($1)`},
	{name: "credits.spending", key: "spender", reads: true,
		insert: `INSERT INTO credits.spending (spender, account_id, day, amount) VALUES ('key:key-' || $1, $1, current_date, 1)`},
	{name: "credits.allotments", key: "organization_id", reads: true, admin: true,
		insert: `INSERT INTO credits.allotments (organization_id, user_id, credits, period) VALUES ('org-' || $1, $1, 5, 'day')`},
	{name: "credits.closed_accounts", key: "account_id",
		insert: `INSERT INTO credits.closed_accounts (account_id) VALUES ($1)`},
	{name: "credits.holds", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, expires_at)
			VALUES ('hold-' || $1, $1, 1, 'app', '', '', now())`},
	{name: "credits.transactions", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description)
			VALUES ('transaction-' || $1, $1, 1, 'gift', 5, 0, 5, 'app', '')`},
	{name: "credits.lots", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.lots (id, transaction_id, user_id, sequence, source, granted, remaining)
			VALUES ('lot-' || $1, 'transaction-' || $1, $1, 1, 'admin', 5, 5)`},
	{name: "credits.burns", key: "user_id",
		insert: `INSERT INTO credits.burns (user_id, through, first, lot_id, amount) VALUES ($1, 1, 0, 'lot-' || $1, 1)`},
	{name: "credits.draws", key: "transaction_id",
		insert: `INSERT INTO credits.draws (transaction_id, position, user_id, lot_id, amount)
			VALUES ('transaction-' || $1, 1, $1, 'lot-' || $1, 1)`},
	{name: "credits.debts", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.debts (user_id, reference, kind, amount) VALUES ($1, 'purchase', 'incurred', 1)`},
	{name: "credits.clawbacks", key: "id",
		insert: `INSERT INTO credits.clawbacks (user_id, reference, internal_key, kind, holder_id, amount)
			VALUES ($1, 'purchase', 'reversal', 'owed', $1, 1)`},
	{name: "credits.usage_stats", key: "user_id", reads: true, admin: true,
		insert: `INSERT INTO credits.usage_stats (user_id, app_id, date) VALUES ($1, 'app', now())`},
	{name: "credits.usage_watermarks", key: "user_id", reads: true, admin: true,
		insert: `INSERT INTO credits.usage_watermarks (user_id, sequence) VALUES ($1, 1)`},
	{name: "credits.job_positions", key: "job",
		insert: `INSERT INTO credits.job_positions (job, after) VALUES ('job-' || $1, '')`},
	{name: "credits.alerts", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.alerts (id, account_id, kind, data) VALUES ('alert-' || $1, $1, 'low', '{}')`},
	{name: "credits.checkpoints", key: "user_id", reads: true, admin: true,
		insert: `INSERT INTO credits.checkpoints (user_id, day, sequence, hash, bucket) VALUES ($1, '2026-11-29', 1, sha256($1::text::bytea), 1)`},
	{name: "credits.roots", key: "day",
		insert: `INSERT INTO credits.roots (day, made_at, accounts, hash, buckets, statement)
			VALUES (CASE $1 WHEN 'alice' THEN date '2026-11-28' ELSE date '2026-11-29' END, now(), 1, sha256(''), decode(repeat('00', 8192), 'hex'), '')`},
	{name: "credits.price_versions", key: "version",
		insert: `INSERT INTO credits.price_versions (version, prices, effective_at, reason, published_by)
			VALUES (CASE $1 WHEN 'alice' THEN 1 ELSE 2 END, '[{"name": "chat"}]', now(), 'because', 'cli:' || $1)`},
	{name: "credits.secrets", key: "name",
		insert: `INSERT INTO credits.secrets (name, sealed) VALUES ('secret-' || $1, 'sealed')`},
	{name: "credits.coupons", key: "id",
		insert: `INSERT INTO credits.coupons (id, name, code_hash, amount, starts_at) VALUES ('coupon-' || $1, $1, sha256($1::text::bytea), 1, now())`},
	{name: "credits.coupon_redemptions", key: "id",
		insert: `INSERT INTO credits.coupon_redemptions (id, coupon_id, user_id, person, amount, transaction_id)
			VALUES ('redemption-' || $1, 'coupon-' || $1, $1, sha256($1::text::bytea), 1, 'transaction-' || $1)`},
	{name: "credits.coupon_domains", key: "coupon_id",
		insert: `INSERT INTO credits.coupon_domains (coupon_id, domain, redeemed) VALUES ('coupon-' || $1, sha256($1::text::bytea), 1)`},
	{name: "credits.trials", key: "user_id",
		insert: `INSERT INTO credits.trials (user_id, amount) VALUES ($1, 1)`},
	{name: "credits.guest_days", key: "subject",
		insert: `INSERT INTO credits.guest_days (day, kind, subject, spent) VALUES (current_date, 'address', sha256($1::text::bytea), 1)`},
	{name: "credits.guest_promises", key: "user_id",
		insert: `INSERT INTO credits.guest_promises (wallet, user_id, amount) VALUES (sha256($1::text::bytea), $1, 1)`},
	{name: "credits.abuse_scores", key: "user_id",
		insert: `INSERT INTO credits.abuse_scores (user_id, score) VALUES ($1, 1)`},
	{name: "credits.cards", key: "user_id",
		insert: `INSERT INTO credits.cards (fingerprint, user_id, first_seen_at, last_seen_at) VALUES ('card', $1, now(), now())`},
	{name: "credits.edges", key: "id",
		insert: `INSERT INTO credits.edges (id, horizon) VALUES ('edge-' || $1, '')`},
}
