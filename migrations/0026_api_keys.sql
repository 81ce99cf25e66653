-- What an API key may do beside its scopes: until when, from where, for whom, and how many credits it may spend.

ALTER TABLE auth.api_keys
	ADD COLUMN organization_id   text COLLATE "C" REFERENCES auth.organizations ON DELETE CASCADE,
	ADD COLUMN expires_at        timestamptz,
	ADD COLUMN allowed_addresses text[] COLLATE "C" NOT NULL DEFAULT '{}' CHECK (cardinality(allowed_addresses) <= 64),
	ADD COLUMN budget_credits    bigint CHECK (budget_credits > 0),
	ADD COLUMN budget_period     text COLLATE "C" CHECK (budget_period IN ('day', 'month', 'total')),
	ADD CHECK ((budget_credits IS NULL) = (budget_period IS NULL));
COMMENT ON COLUMN auth.api_keys.organization_id IS 'the key is dead while its user is neither owner nor admin there';
COMMENT ON COLUMN auth.api_keys.allowed_addresses IS 'addresses and networks in CIDR notation; empty for any';
COMMENT ON COLUMN auth.api_keys.budget_credits IS 'thousandths of a credit; days and months are those of UTC';
CREATE INDEX api_keys_organization_id_idx ON auth.api_keys (organization_id) WHERE organization_id IS NOT NULL;

-- Tells every edge whose keys read otherwise now, whoever changes them: what is cached of the user is read again.
CREATE FUNCTION auth.notify_owner() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('mana_users', OLD.user_id);
	RETURN NULL;
END
$$;
CREATE TRIGGER api_keys_notify AFTER UPDATE OF revoked_at OR DELETE ON auth.api_keys
	FOR EACH ROW EXECUTE FUNCTION auth.notify_owner();
CREATE TRIGGER members_notify_keys AFTER UPDATE OF role OR DELETE ON auth.members
	FOR EACH ROW EXECUTE FUNCTION auth.notify_owner();

-- How the link of a Matrix id came about.
ALTER TABLE auth.matrix_user_links
	ADD COLUMN proof text COLLATE "C" NOT NULL DEFAULT 'service' CHECK (proof IN ('claim', 'service', 'openid'));

-- Which key made a charge or a reservation. No foreign key: the ledger outlives keys.
ALTER TABLE credits.transactions ADD COLUMN api_key_id text COLLATE "C";
ALTER TABLE credits.holds ADD COLUMN api_key_id text COLLATE "C";

-- What a key has spent, by the day (UTC) of the charge or reservation: what comes back is taken from its day. Rows of a
-- key change under the lock of its user's account alone.
CREATE TABLE credits.key_spending (
	api_key_id text COLLATE "C" NOT NULL REFERENCES auth.api_keys ON DELETE CASCADE,
	day        date NOT NULL,
	user_id    text COLLATE "C" NOT NULL,
	amount     bigint NOT NULL,
	PRIMARY KEY (api_key_id, day)
);
COMMENT ON COLUMN credits.key_spending.amount IS 'thousandths of a credit';
ALTER TABLE credits.key_spending ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.key_spending FORCE ROW LEVEL SECURITY;
CREATE POLICY key_spending_system ON credits.key_spending
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY key_spending_select ON credits.key_spending
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, UPDATE ON credits.key_spending TO mana_system;
GRANT SELECT ON credits.key_spending TO mana_user;

-- What a reservation of a key comes to counts as spent: all of it while it is open, then what it was settled with.
CREATE FUNCTION credits.count_hold() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
	before CONSTANT bigint := CASE WHEN OLD.state = 'open' THEN OLD.amount ELSE coalesce(OLD.settled_amount, 0) END;
	after  CONSTANT bigint := CASE WHEN NEW.state = 'open' THEN NEW.amount ELSE coalesce(NEW.settled_amount, 0) END;
BEGIN
	PERFORM credits.key_spend(NEW.api_key_id, after - before, NEW.created_at);
	RETURN NULL;
END
$$;
CREATE TRIGGER holds_count AFTER UPDATE OF state ON credits.holds
	FOR EACH ROW WHEN (NEW.api_key_id IS NOT NULL AND OLD.state IS DISTINCT FROM NEW.state)
	EXECUTE FUNCTION credits.count_hold();
