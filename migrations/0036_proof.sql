-- What proves that the ledger was not changed afterwards, by whoever may change everything here: each row carries a hash
-- over itself and the row of its account before it, and once a day the last hashes of all accounts are summed up in one
-- that is signed with a key the database does not have in clear. docs/credits.md, "Proof", says how both are made.

ALTER TABLE credits.transactions ADD COLUMN hash bytea;
COMMENT ON COLUMN credits.transactions.hash IS 'credits.chained of the row and the one before it; NULL in rows from before there were hashes';

-- What writes many rows at once does without a look at the row before.
ALTER TABLE credits.balances
	ADD COLUMN chain_sequence bigint,
	ADD COLUMN chain_hash bytea;
COMMENT ON COLUMN credits.balances.chain_hash IS 'the hash of the row chain_sequence, which need not be the last: a cache, never evidence';

-- chained is the hash of a row after one with the hash p_before: the SHA-256 of the columns in the form that PostgreSQL sends a
-- record in, which has the length of each column, so that no two rows have the same. p_before is NULL for the first row of an
-- account. What only serves the work of edges is left out: the edge, and the fingerprint of a request.
CREATE FUNCTION credits.chained(p_before bytea, p_user text, p_sequence bigint, p_id text, p_type text, p_status text, p_amount bigint,
	p_balance_before bigint, p_balance_after bigint, p_app text, p_operation text, p_description text, p_metadata jsonb,
	p_idempotency_key text, p_internal_key text, p_reverses text, p_hold text, p_api_key text, p_spent_by text,
	p_created_at timestamptz, p_completed_at timestamptz) RETURNS bytea
	LANGUAGE sql STABLE AS $$
	SELECT sha256(record_send(ROW(p_before, p_user, p_sequence, p_id, p_type, p_status, p_amount, p_balance_before, p_balance_after,
		p_app, p_operation, p_description, p_metadata, p_idempotency_key, p_internal_key, p_reverses, p_hold, p_api_key, p_spent_by,
		p_created_at, p_completed_at)))
$$;

-- chain_tail is what the row after p_sequence is chained to: the hash of that row. One from before there were hashes counts
-- as the first of its account. It is an error if there is no such row: rows of an account come in the order of their numbers.
CREATE FUNCTION credits.chain_tail(p_user text, p_sequence bigint) RETURNS bytea
	LANGUAGE plpgsql AS $$
DECLARE
	tail bytea;
BEGIN
	IF p_sequence = 0 THEN
		RETURN NULL;
	END IF;
	SELECT coalesce(t.hash, credits.chained(NULL, t.user_id, t.sequence, t.id, t.type, t.status, t.amount, t.balance_before, t.balance_after,
		t.app_id, t.operation, t.description, t.metadata, t.idempotency_key, t.internal_key, t.reverses, t.hold_id, t.api_key_id, t.spent_by,
		t.created_at, t.completed_at)) INTO tail
	FROM credits.transactions AS t
	WHERE t.user_id = p_user AND t.sequence = p_sequence;
	IF tail IS NULL THEN
		RAISE EXCEPTION 'row % of account % comes without the row before it', p_sequence + 1, p_user USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	RETURN tail;
END $$;

-- chain gives a row its hash that came without.
CREATE FUNCTION credits.chain() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	NEW.hash := credits.chained(credits.chain_tail(NEW.user_id, NEW.sequence - 1), NEW.user_id, NEW.sequence, NEW.id, NEW.type, NEW.status,
		NEW.amount, NEW.balance_before, NEW.balance_after, NEW.app_id, NEW.operation, NEW.description, NEW.metadata, NEW.idempotency_key,
		NEW.internal_key, NEW.reverses, NEW.hold_id, NEW.api_key_id, NEW.spent_by, NEW.created_at, NEW.completed_at);
	RETURN NEW;
END $$;
CREATE TRIGGER transactions_chain BEFORE INSERT ON credits.transactions
	FOR EACH ROW WHEN (NEW.hash IS NULL) EXECUTE FUNCTION credits.chain();
REVOKE EXECUTE ON FUNCTION credits.chain(), credits.chain_tail(text, bigint), credits.chained(bytea, text, bigint, text, text, text,
	bigint, bigint, bigint, text, text, text, jsonb, text, text, text, text, text, text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.chain(), credits.chain_tail(text, bigint), credits.chained(bytea, text, bigint, text, text, text,
	bigint, bigint, bigint, text, text, text, jsonb, text, text, text, text, text, text, timestamptz, timestamptz) TO mana_system;

-- Where the chain of an account stood when a root was made, if it had gone on since the one before.
CREATE TABLE credits.checkpoints (
	user_id  text COLLATE "C" NOT NULL,
	day      date NOT NULL,
	sequence bigint NOT NULL CHECK (sequence > 0),
	hash     bytea NOT NULL CHECK (octet_length(hash) = 32),
	bucket   smallint NOT NULL CHECK (bucket BETWEEN 0 AND 255),
	PRIMARY KEY (user_id, day)
);
COMMENT ON COLUMN credits.checkpoints.hash IS 'of the row; of one without a hash, what credits.chain_tail makes of it';
COMMENT ON COLUMN credits.checkpoints.bucket IS 'the first byte of the SHA-256 of user_id: which of the 256 trees below a root it stands in';
CREATE INDEX checkpoints_bucket_idx ON credits.checkpoints (bucket, user_id, day);
ALTER TABLE credits.checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY checkpoints_system ON credits.checkpoints
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY checkpoints_select ON credits.checkpoints
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT ON credits.checkpoints TO mana_system;
GRANT SELECT ON credits.checkpoints TO mana_user;

-- The roots: what all accounts came to at the end of a day (UTC).
CREATE TABLE credits.roots (
	day       date PRIMARY KEY,
	made_at   timestamptz NOT NULL,
	accounts  bigint NOT NULL CHECK (accounts > 0),
	hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
	buckets   bytea NOT NULL CHECK (octet_length(buckets) = 256 * 32),
	statement text NOT NULL
);
COMMENT ON COLUMN credits.roots.buckets IS 'the hashes of the 256 trees that hash is the root of';
COMMENT ON COLUMN credits.roots.statement IS 'the root and the day before it, signed: a JWS in compact form';
ALTER TABLE credits.roots ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.roots FORCE ROW LEVEL SECURITY;
CREATE POLICY roots_system ON credits.roots
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT ON credits.roots TO mana_system;

CREATE FUNCTION credits.refuse_proof_change() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credits.checkpoints
	FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_proof_change();
CREATE TRIGGER roots_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credits.roots
	FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_proof_change();
REVOKE EXECUTE ON FUNCTION credits.refuse_proof_change() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.refuse_proof_change() TO mana_system;

-- The keys that sign roots and receipts, and no token. They are as those of auth.jwks and apart from them, as an edge that
-- does not know of them signs tokens with whatever stands there.
CREATE TABLE auth.proof_keys (
	id          text COLLATE "C" PRIMARY KEY,
	algorithm   text COLLATE "C" NOT NULL DEFAULT 'EdDSA' CHECK (algorithm IN ('EdDSA', 'RS256')),
	public_key  text NOT NULL,
	private_key text NOT NULL,
	created_at  timestamptz NOT NULL DEFAULT now(),
	signs_from  timestamptz,
	gone_at     timestamptz,
	revoked_at  timestamptz
);
ALTER TABLE auth.proof_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.proof_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY proof_keys_system ON auth.proof_keys
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.proof_keys TO mana_system;
CREATE TRIGGER proof_keys_notify AFTER INSERT OR UPDATE OR DELETE ON auth.proof_keys
	FOR EACH STATEMENT EXECUTE FUNCTION auth.notify_keys();
