-- The price book: tables of prices that were published at the desk or by command, each in force from a time on by the clock of
-- the database. What was published stays as it is; what is not in force yet can be withdrawn.

CREATE TABLE credits.price_versions (
	version           bigint PRIMARY KEY CHECK (version > 0),
	prices            jsonb NOT NULL CHECK (jsonb_typeof(prices) = 'array' AND prices <> '[]'),
	effective_at      timestamptz NOT NULL,
	reason            text NOT NULL CHECK (reason <> ''),
	published_by      text COLLATE "C" NOT NULL CHECK (published_by <> ''),
	published_at      timestamptz NOT NULL DEFAULT now(),
	withdrawn_at      timestamptz,
	withdrawn_by      text COLLATE "C",
	withdrawal_reason text,
	CHECK (effective_at >= published_at),
	CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (withdrawal_reason IS NULL)),
	CHECK (withdrawn_at < effective_at)
);
COMMENT ON TABLE credits.price_versions IS 'in force is, of those that are not withdrawn and whose time has come, the one with the latest time, the higher of two at once';
COMMENT ON COLUMN credits.price_versions.version IS '1, 2, 3 … without a gap; rows of the ledger name it in metadata.priceVersion';
COMMENT ON COLUMN credits.price_versions.prices IS 'name, credits, per and unit of each, as GET /credits/prices has them';
COMMENT ON COLUMN credits.price_versions.published_by IS 'the operator, such as admin:<id> or cli';
ALTER TABLE credits.price_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.price_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY price_versions_system ON credits.price_versions
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON credits.price_versions TO mana_system;

-- Of what was published only a withdrawal is noted, and only before its time.
CREATE FUNCTION credits.keep_price_version() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.withdrawn_at IS NOT NULL OR NEW.withdrawn_at IS NULL OR OLD.effective_at <= clock_timestamp()
		OR (NEW.version, NEW.prices, NEW.effective_at, NEW.reason, NEW.published_by, NEW.published_at)
			IS DISTINCT FROM (OLD.version, OLD.prices, OLD.effective_at, OLD.reason, OLD.published_by, OLD.published_at) THEN
		RAISE EXCEPTION 'credits.price_versions is append-only' USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER price_versions_keep BEFORE UPDATE ON credits.price_versions
	FOR EACH ROW EXECUTE FUNCTION credits.keep_price_version();
CREATE TRIGGER price_versions_append_only BEFORE DELETE OR TRUNCATE ON credits.price_versions
	FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_proof_change();

-- Every edge reads the book again.
CREATE FUNCTION credits.tell_price_versions() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('mana_prices', '');
	RETURN NULL;
END $$;
CREATE TRIGGER price_versions_tell AFTER INSERT OR UPDATE ON credits.price_versions
	FOR EACH STATEMENT EXECUTE FUNCTION credits.tell_price_versions();
REVOKE EXECUTE ON FUNCTION credits.keep_price_version(), credits.tell_price_versions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.keep_price_version(), credits.tell_price_versions() TO mana_system;
