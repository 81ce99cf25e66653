package migrations_test

// creditTables is every table of the ledger.
var creditTables = []table{
	{name: "credits.balances", key: "user_id", reads: true, admin: true,
		insert: `INSERT INTO credits.balances (user_id) VALUES ($1)`},
	{name: "credits.holds", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, expires_at)
			VALUES ('hold-' || $1, $1, 1, 'app', '', '', now())`},
	{name: "credits.transactions", key: "id", reads: true, admin: true,
		insert: `INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description)
			VALUES ('transaction-' || $1, $1, 1, 'gift', 5, 0, 5, 'app', '')`},
	{name: "credits.lots", key: "transaction_id", reads: true, admin: true,
		insert: `INSERT INTO credits.lots (transaction_id, user_id, sequence, source, granted, remaining)
			VALUES ('transaction-' || $1, $1, 1, 'admin', 5, 5)`},
	{name: "credits.usage_stats", key: "user_id", reads: true, admin: true,
		insert: `INSERT INTO credits.usage_stats (user_id, app_id, date) VALUES ($1, 'app', now())`},
	{name: "credits.usage_watermarks", key: "user_id", reads: true, admin: true,
		insert: `INSERT INTO credits.usage_watermarks (user_id, sequence) VALUES ($1, 1)`},
	{name: "credits.job_positions", key: "job",
		insert: `INSERT INTO credits.job_positions (job, after) VALUES ('job-' || $1, '')`},
	{name: "credits.edges", key: "id",
		insert: `INSERT INTO credits.edges (id, horizon) VALUES ('edge-' || $1, '')`},
}
