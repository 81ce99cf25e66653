-- The ledger: balances, transactions, lots, holds and usage. All amounts are thousandths of a credit.

CREATE SCHEMA credits;
GRANT USAGE ON SCHEMA credits TO mana_user, mana_system;

-- Domains, because PostgreSQL keeps their checks at hand, where it reads those of a table for every statement.
CREATE DOMAIN credits.entry_type AS text CHECK (VALUE IN ('purchase', 'usage', 'refund', 'gift', 'expiry', 'adjustment',
	'bonus', 'gift_reserve', 'gift_release', 'gift_receive'));
COMMENT ON DOMAIN credits.entry_type IS 'the last four are of imported rows';
CREATE DOMAIN credits.entry_status AS text CHECK (VALUE IN ('pending', 'completed', 'failed', 'cancelled'));
CREATE DOMAIN credits.hold_state AS text CHECK (VALUE IN ('open', 'settled', 'released', 'expired', 'late'));
CREATE DOMAIN credits.lot_source AS text CHECK (VALUE IN ('purchase', 'gift', 'subscription', 'refund', 'admin'));
CREATE DOMAIN credits.idempotency_key AS text CHECK (length(VALUE) BETWEEN 1 AND 255);
GRANT USAGE ON DOMAIN credits.entry_type, credits.entry_status, credits.hold_state, credits.lot_source, credits.idempotency_key
	TO mana_user, mana_system;

-- balance is what the ledger adds up to; held is the part of it that open holds reserve.
-- unburnt is what was spent since lots were last charged with it, see credits.burn.
CREATE TABLE credits.balances (
	user_id      text PRIMARY KEY REFERENCES auth.users,
	balance      bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
	held         bigint NOT NULL DEFAULT 0 CHECK (held >= 0 AND held <= balance),
	total_earned bigint NOT NULL DEFAULT 0,
	total_spent  bigint NOT NULL DEFAULT 0,
	unburnt      bigint NOT NULL DEFAULT 0 CHECK (unburnt >= 0),
	next_expiry  timestamptz,
	version      bigint NOT NULL DEFAULT 0,
	sequence     bigint NOT NULL DEFAULT 0,
	created_at   timestamptz NOT NULL DEFAULT now(),
	updated_at   timestamptz NOT NULL DEFAULT now(),
	CHECK (balance = total_earned - total_spent)
) WITH (fillfactor = 70); -- and no index on what a debit changes: its updates stay on their page
COMMENT ON COLUMN credits.balances.next_expiry IS 'when the next lot expires; in the past while open holds keep an expired lot alive';
ALTER TABLE credits.balances ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.balances FORCE ROW LEVEL SECURITY;
CREATE POLICY balances_system ON credits.balances
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY balances_select ON credits.balances
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.balances TO mana_system;
GRANT SELECT ON credits.balances TO mana_user;

-- A hold reserves credits until it is settled, released or expires.
CREATE TABLE credits.holds (
	id              text PRIMARY KEY,
	user_id         text NOT NULL REFERENCES credits.balances,
	amount          bigint NOT NULL CHECK (amount > 0),
	settled_amount  bigint CHECK (settled_amount BETWEEN 0 AND amount),
	state           credits.hold_state NOT NULL DEFAULT 'open',
	attempts        int NOT NULL DEFAULT 1 CHECK (attempts >= 0),
	app_id          text NOT NULL,
	operation       text NOT NULL,
	description     text NOT NULL,
	metadata        jsonb,
	idempotency_key credits.idempotency_key,
	fingerprint     bytea,
	created_at      timestamptz NOT NULL DEFAULT now(),
	expires_at      timestamptz NOT NULL,
	resolved_at     timestamptz,
	CHECK ((state = 'open') = (resolved_at IS NULL)),
	CHECK ((settled_amount IS NOT NULL) = (state IN ('settled', 'late')))
);
COMMENT ON COLUMN credits.holds.attempts IS 'requests under the same key that still run';
COMMENT ON COLUMN credits.holds.state IS 'late: settled after it had expired, with what was left';
CREATE UNIQUE INDEX holds_idempotency_key_key ON credits.holds (user_id, idempotency_key)
	WHERE idempotency_key IS NOT NULL AND state IN ('open', 'settled', 'late');
CREATE INDEX holds_user_id_idx ON credits.holds (user_id);
CREATE INDEX holds_expires_at_idx ON credits.holds (expires_at) WHERE state = 'open';
ALTER TABLE credits.holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.holds FORCE ROW LEVEL SECURITY;
CREATE POLICY holds_system ON credits.holds
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY holds_select ON credits.holds
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.holds TO mana_system;
GRANT SELECT ON credits.holds TO mana_user;

-- The ledger itself.
CREATE TABLE credits.transactions (
	id              text PRIMARY KEY,
	user_id         text NOT NULL REFERENCES credits.balances,
	sequence        bigint NOT NULL CHECK (sequence > 0),
	type            credits.entry_type NOT NULL,
	status          credits.entry_status NOT NULL DEFAULT 'completed',
	amount          bigint NOT NULL CHECK (amount <> 0),
	balance_before  bigint NOT NULL CHECK (balance_before >= 0),
	balance_after   bigint NOT NULL CHECK (balance_after >= 0),
	app_id          text NOT NULL,
	operation       text NOT NULL DEFAULT '',
	description     text NOT NULL,
	metadata        jsonb,
	idempotency_key credits.idempotency_key,
	fingerprint     bytea,
	internal_key    text,
	reverses        text REFERENCES credits.transactions,
	hold_id         text REFERENCES credits.holds,
	created_at      timestamptz NOT NULL DEFAULT now(),
	completed_at    timestamptz,
	UNIQUE (user_id, sequence),
	CHECK (balance_after = balance_before + amount)
);
COMMENT ON COLUMN credits.transactions.idempotency_key IS 'of the client; its names never meet those of internal_key';
COMMENT ON COLUMN credits.transactions.fingerprint IS 'SHA-256 of the request the key came with';
CREATE UNIQUE INDEX transactions_idempotency_key_key ON credits.transactions (user_id, idempotency_key)
	WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX transactions_internal_key_key ON credits.transactions (internal_key) WHERE internal_key IS NOT NULL;
CREATE UNIQUE INDEX transactions_hold_id_key ON credits.transactions (hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX transactions_reverses_idx ON credits.transactions (reverses) WHERE reverses IS NOT NULL;
ALTER TABLE credits.transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.transactions FORCE ROW LEVEL SECURITY;
CREATE POLICY transactions_system ON credits.transactions
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY transactions_select ON credits.transactions
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT ON credits.transactions TO mana_system;
GRANT SELECT ON credits.transactions TO mana_user;

CREATE FUNCTION credits.refuse_change() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'credits.transactions is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credits.transactions
	FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change();

-- A grant's credits and what became of them. A lot is named by the ledger row of its grant.
CREATE TABLE credits.lots (
	transaction_id text PRIMARY KEY REFERENCES credits.transactions,
	user_id        text NOT NULL REFERENCES credits.balances,
	sequence       bigint NOT NULL,
	source         credits.lot_source NOT NULL,
	promotional    boolean NOT NULL GENERATED ALWAYS AS (source NOT IN ('purchase', 'subscription')) STORED,
	priority       int NOT NULL DEFAULT 0,
	reference      text,
	granted        bigint NOT NULL CHECK (granted > 0),
	remaining      bigint NOT NULL CHECK (remaining >= 0),
	burnt          bigint NOT NULL DEFAULT 0 CHECK (burnt >= 0),
	expired        bigint NOT NULL DEFAULT 0 CHECK (expired >= 0),
	clawed_back    bigint NOT NULL DEFAULT 0 CHECK (clawed_back >= 0),
	expires_at     timestamptz,
	created_at     timestamptz NOT NULL DEFAULT now(),
	CHECK (granted = remaining + burnt + expired + clawed_back)
);
COMMENT ON COLUMN credits.lots.reference IS 'what the grant was for, such as purchase:<id>';
CREATE UNIQUE INDEX lots_reference_key ON credits.lots (user_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX lots_user_id_idx ON credits.lots (user_id);
CREATE INDEX lots_expires_at_idx ON credits.lots (expires_at) WHERE expires_at IS NOT NULL AND remaining > 0;
ALTER TABLE credits.lots ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.lots FORCE ROW LEVEL SECURITY;
CREATE POLICY lots_system ON credits.lots
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY lots_select ON credits.lots
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.lots TO mana_system;
GRANT SELECT ON credits.lots TO mana_user;

-- What was used by user, app, operation and UTC day.
CREATE TABLE credits.usage_stats (
	id               text NOT NULL DEFAULT gen_random_uuid()::text,
	user_id          text NOT NULL REFERENCES credits.balances,
	app_id           text NOT NULL,
	operation        text NOT NULL DEFAULT '',
	date             date NOT NULL,
	credits_used     bigint NOT NULL DEFAULT 0 CHECK (credits_used >= 0),
	credits_refunded bigint NOT NULL DEFAULT 0 CHECK (credits_refunded >= 0),
	requests         bigint NOT NULL DEFAULT 0 CHECK (requests >= 0),
	metadata         jsonb,
	PRIMARY KEY (user_id, app_id, operation, date)
) WITH (fillfactor = 70);
ALTER TABLE credits.usage_stats ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.usage_stats FORCE ROW LEVEL SECURITY;
CREATE POLICY usage_stats_system ON credits.usage_stats
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY usage_stats_select ON credits.usage_stats
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.usage_stats TO mana_system;
GRANT SELECT ON credits.usage_stats TO mana_user;

-- What works on these tables is in functions/.
GRANT EXECUTE ON FUNCTION credits.refuse_change() TO mana_system;
