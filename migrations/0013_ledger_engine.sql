-- What the ledger keeps so that many accounts move in one statement and nothing of an edge that is gone is lost.
-- All amounts are thousandths of a credit.

-- Every function locks the account before it writes for it, and accounts are never deleted: the keys prove what the
-- lock has, at the price of a look-up a row. Holds are pruned, ledger rows never.
ALTER TABLE credits.transactions
	DROP CONSTRAINT transactions_user_id_fkey,
	DROP CONSTRAINT transactions_hold_id_fkey,
	ADD COLUMN edge text COLLATE "C";
COMMENT ON COLUMN credits.transactions.edge IS 'of a charge made before what it is for: the edge that made it';
ALTER TABLE credits.holds DROP CONSTRAINT holds_user_id_fkey;
GRANT DELETE ON credits.holds TO mana_system;

ALTER TABLE credits.balances
	ADD COLUMN burnt_through bigint NOT NULL DEFAULT 0,
	ADD COLUMN loose_refunds boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN credits.balances.burnt_through IS 'lots are charged with what was spent up to this ledger row';
COMMENT ON COLUMN credits.balances.loose_refunds IS 'some refund named no charge';

-- The edges that charge for requests before they are answered, by what they said last.
CREATE TABLE credits.edges (
	id      text COLLATE "C" PRIMARY KEY,
	seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	horizon text COLLATE "C" NOT NULL,
	open    text[] COLLATE "C" NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
COMMENT ON COLUMN credits.edges.open IS 'ledger rows in flight; any other with an id below the horizon has landed';
ALTER TABLE credits.edges ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.edges FORCE ROW LEVEL SECURITY;
CREATE POLICY edges_system ON credits.edges
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.edges TO mana_system;

-- Up to which ledger row of an account usage_stats is added up. What is newer is added from the ledger.
CREATE TABLE credits.usage_watermarks (
	user_id  text COLLATE "C" PRIMARY KEY,
	sequence bigint NOT NULL
);
ALTER TABLE credits.usage_watermarks ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.usage_watermarks FORCE ROW LEVEL SECURITY;
CREATE POLICY usage_watermarks_system ON credits.usage_watermarks
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY usage_watermarks_select ON credits.usage_watermarks
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.usage_watermarks TO mana_system;
GRANT SELECT ON credits.usage_watermarks TO mana_user;

-- How far the jobs are that go through the ledger.
CREATE TABLE credits.job_positions (
	job   text COLLATE "C" PRIMARY KEY,
	after text COLLATE "C" NOT NULL
);
COMMENT ON COLUMN credits.job_positions.after IS 'the id of the last ledger row it looked at';
ALTER TABLE credits.job_positions ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.job_positions FORCE ROW LEVEL SECURITY;
CREATE POLICY job_positions_system ON credits.job_positions
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON credits.job_positions TO mana_system;

SET LOCAL ROLE mana_system;
UPDATE credits.balances AS b
SET burnt_through = b.sequence,
    loose_refunds = EXISTS (SELECT FROM credits.transactions AS t WHERE t.user_id = b.user_id AND t.type = 'refund' AND t.reverses IS NULL)
WHERE b.sequence > 0;
INSERT INTO credits.usage_watermarks (user_id, sequence)
SELECT b.user_id, b.sequence FROM credits.balances AS b WHERE b.sequence > 0;
INSERT INTO credits.job_positions (job, after)
SELECT 'usage', max(t.id COLLATE "C") FROM credits.transactions AS t HAVING count(*) > 0;
SET LOCAL ROLE mana_owner;
