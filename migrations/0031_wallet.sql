-- Accounts of organisations in the ledger. Such an account is named org:<id of the organisation> in every column that
-- names an account; it is charged by members, each within an allotment. All amounts are thousandths of a credit.

ALTER TABLE auth.users ADD CONSTRAINT users_id_kind_check CHECK (NOT starts_with(id, 'org:'));

-- An account is a user's or an organisation's. The keys of the tables that name one are kept by triggers: a row is of an
-- owner who is there, or was when the account was opened, and no user is deleted whom a row names.
CREATE FUNCTION credits.check_account() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	IF pg_catalog.starts_with(NEW.user_id, 'org:') THEN
		PERFORM FROM auth.organizations AS o WHERE o.id = pg_catalog.substr(NEW.user_id, 5) FOR KEY SHARE;
		IF NOT FOUND AND (TG_TABLE_NAME = 'balances' OR NOT EXISTS (SELECT FROM credits.balances AS b WHERE b.user_id = NEW.user_id)) THEN
			RAISE EXCEPTION 'no organisation has the account %', NEW.user_id USING ERRCODE = 'foreign_key_violation';
		END IF;
	ELSE
		PERFORM FROM auth.users AS u WHERE u.id = NEW.user_id FOR KEY SHARE;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'no user has the account %', NEW.user_id USING ERRCODE = 'foreign_key_violation';
		END IF;
	END IF;
	RETURN NULL;
END
$$;
CREATE FUNCTION credits.keep_owner() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	IF EXISTS (SELECT FROM credits.balances AS a WHERE a.user_id = OLD.id)
		OR EXISTS (SELECT FROM credits.stripe_customers AS a WHERE a.user_id = OLD.id)
		OR EXISTS (SELECT FROM credits.purchases AS a WHERE a.user_id = OLD.id OR a.bought_by = OLD.id)
		OR EXISTS (SELECT FROM subscriptions.subscriptions AS a WHERE a.user_id = OLD.id)
		OR EXISTS (SELECT FROM subscriptions.checkouts AS a WHERE a.user_id = OLD.id)
		OR EXISTS (SELECT FROM subscriptions.invoices AS a WHERE a.user_id = OLD.id)
		OR EXISTS (SELECT FROM subscriptions.cuts AS a WHERE a.user_id = OLD.id)
		OR EXISTS (SELECT FROM subscriptions.allotments AS a WHERE a.user_id = OLD.id) THEN
		RAISE EXCEPTION 'an account of the ledger is of user %', OLD.id USING ERRCODE = 'foreign_key_violation';
	END IF;
	RETURN OLD;
END
$$;
REVOKE EXECUTE ON FUNCTION credits.check_account(), credits.keep_owner() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.check_account(), credits.keep_owner() TO mana_system;

DO $$
DECLARE
	named text;
BEGIN
	FOREACH named IN ARRAY ARRAY['credits.balances', 'credits.stripe_customers', 'credits.purchases', 'subscriptions.subscriptions',
		'subscriptions.checkouts', 'subscriptions.invoices', 'subscriptions.cuts', 'subscriptions.allotments']
	LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', named, split_part(named, '.', 2) || '_user_id_fkey');
		EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION credits.check_account()',
			split_part(named, '.', 2) || '_check_account', named);
	END LOOP;
END
$$;

-- Who bought for an organisation.
ALTER TABLE credits.purchases ADD COLUMN bought_by text COLLATE "C";
CREATE INDEX purchases_bought_by_idx ON credits.purchases (bought_by) WHERE bought_by IS NOT NULL;
COMMENT ON COLUMN credits.purchases.bought_by IS 'the member who bought for the organisation whose account it is';

CREATE TRIGGER users_keep_owner BEFORE DELETE ON auth.users
	FOR EACH ROW EXECUTE FUNCTION credits.keep_owner();

-- Who spent, where the account is an organisation's. No foreign key: the ledger outlives members.
ALTER TABLE credits.transactions ADD COLUMN spent_by text COLLATE "C";
ALTER TABLE credits.holds ADD COLUMN spent_by text COLLATE "C";
COMMENT ON COLUMN credits.transactions.spent_by IS 'the member who spent or bought, NULL on the accounts of users';
CREATE INDEX transactions_spent_by_idx ON credits.transactions (spent_by, user_id, sequence) WHERE spent_by IS NOT NULL;

-- An idempotency key is its client's, whoever pays.
DROP INDEX credits.transactions_idempotency_key_key;
CREATE UNIQUE INDEX transactions_idempotency_key_key ON credits.transactions (coalesce(spent_by, user_id), idempotency_key)
	WHERE idempotency_key IS NOT NULL;
DROP INDEX credits.holds_idempotency_key_key;
CREATE UNIQUE INDEX holds_idempotency_key_key ON credits.holds (coalesce(spent_by, user_id), idempotency_key)
	WHERE idempotency_key IS NOT NULL AND state IN ('open', 'settled', 'late');

-- What a member may spend of the account of an organisation; NULL stands for every member that has no other. Owners and
-- admins without a row have no bound, plain members nothing.
CREATE TABLE credits.allotments (
	organization_id text COLLATE "C" NOT NULL REFERENCES auth.organizations ON DELETE CASCADE,
	user_id         text COLLATE "C",
	credits         bigint NOT NULL CHECK (credits > 0),
	period          text COLLATE "C" NOT NULL CHECK (period IN ('day', 'month', 'total')),
	updated_by      text COLLATE "C",
	updated_at      timestamptz NOT NULL DEFAULT now(),
	UNIQUE (organization_id, user_id),
	FOREIGN KEY (organization_id, user_id) REFERENCES auth.members (organization_id, user_id) ON DELETE CASCADE
);
COMMENT ON COLUMN credits.allotments.credits IS 'thousandths of a credit; days and months are those of UTC';
CREATE UNIQUE INDEX allotments_default_key ON credits.allotments (organization_id) WHERE user_id IS NULL;
ALTER TABLE credits.allotments ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.allotments FORCE ROW LEVEL SECURITY;
CREATE POLICY allotments_system ON credits.allotments
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY allotments_select ON credits.allotments
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (mana.is_admin()
		OR (user_id = mana.user_id() OR user_id IS NULL)
			AND organization_id IN (SELECT m.organization_id FROM auth.my_memberships AS m)
		OR organization_id IN (SELECT m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin'))));
CREATE POLICY allotments_insert ON credits.allotments
	FOR INSERT TO mana_user
	WITH CHECK (current_user = 'mana_user' AND updated_by = mana.user_id()
		AND organization_id IN (SELECT m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin')));
CREATE POLICY allotments_update ON credits.allotments
	FOR UPDATE TO mana_user
	USING (current_user = 'mana_user'
		AND organization_id IN (SELECT m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin')))
	WITH CHECK (current_user = 'mana_user' AND updated_by = mana.user_id()
		AND organization_id IN (SELECT m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin')));
CREATE POLICY allotments_delete ON credits.allotments
	FOR DELETE TO mana_user
	USING (current_user = 'mana_user'
		AND organization_id IN (SELECT m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin')));
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.allotments TO mana_system;
GRANT SELECT, INSERT, DELETE, UPDATE (credits, period, updated_by, updated_at) ON credits.allotments TO mana_user;

-- What a key, or a member of an account's, has spent of an account, by the day (UTC) of the charge or reservation: what
-- comes back is taken from its day. Rows change under the lock of their account alone.
CREATE TABLE credits.spending (
	spender    text COLLATE "C" NOT NULL CHECK (spender ~ '^(key|user):'),
	account_id text COLLATE "C" NOT NULL,
	day        date NOT NULL,
	amount     bigint NOT NULL,
	PRIMARY KEY (spender, account_id, day)
);
COMMENT ON COLUMN credits.spending.spender IS 'key:<id of an API key>, or user:<id> on the account of an organisation';
ALTER TABLE credits.spending ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.spending FORCE ROW LEVEL SECURITY;
CREATE POLICY spending_system ON credits.spending
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY spending_select ON credits.spending
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (account_id = mana.user_id()
		OR spender = 'user:' || mana.user_id() AND account_id IN (SELECT 'org:' || m.organization_id FROM auth.my_memberships AS m)
		OR account_id IN (SELECT 'org:' || m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin'))));
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.spending TO mana_system;
GRANT SELECT ON credits.spending TO mana_user;

SET LOCAL ROLE mana_system;
INSERT INTO credits.spending (spender, account_id, day, amount)
SELECT 'key:' || s.api_key_id, s.user_id, s.day, s.amount FROM credits.key_spending AS s;
SET LOCAL ROLE mana_owner;
DROP TABLE credits.key_spending;

CREATE OR REPLACE FUNCTION credits.count_hold() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
	before CONSTANT bigint := CASE WHEN OLD.state = 'open' THEN OLD.amount ELSE coalesce(OLD.settled_amount, 0) END;
	after  CONSTANT bigint := CASE WHEN NEW.state = 'open' THEN NEW.amount ELSE coalesce(NEW.settled_amount, 0) END;
BEGIN
	PERFORM credits.spend(NEW.user_id, NEW.spent_by, NEW.api_key_id, after - before, NEW.created_at);
	RETURN NULL;
END
$$;
DROP TRIGGER holds_count ON credits.holds;
CREATE TRIGGER holds_count AFTER UPDATE OF state ON credits.holds
	FOR EACH ROW WHEN ((NEW.api_key_id IS NOT NULL OR NEW.spent_by IS NOT NULL) AND OLD.state IS DISTINCT FROM NEW.state)
	EXECUTE FUNCTION credits.count_hold();

-- Accounts whose organisation is gone. Their rows stay; what still comes in goes on to the heir.
CREATE TABLE credits.closed_accounts (
	account_id text COLLATE "C" PRIMARY KEY REFERENCES credits.balances,
	heir_id    text COLLATE "C",
	closed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN credits.closed_accounts.heir_id IS 'the user who gets what was left; NULL where the last member is gone too';
ALTER TABLE credits.closed_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.closed_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY closed_accounts_system ON credits.closed_accounts
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT ON credits.closed_accounts TO mana_system;

-- Members read what their organisation has, its owners and admins all of its account, plain members what they spent of
-- it. Who asks for their own rows is answered by the first condition.
ALTER POLICY balances_select ON credits.balances
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()
		OR user_id IN (SELECT 'org:' || m.organization_id FROM auth.my_memberships AS m)));
ALTER POLICY transactions_select ON credits.transactions
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()
		OR spent_by = mana.user_id() AND user_id IN (SELECT 'org:' || m.organization_id FROM auth.my_memberships AS m)
		OR user_id IN (SELECT 'org:' || m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin'))));
DO $$
DECLARE
	named text;
BEGIN
	FOREACH named IN ARRAY ARRAY['credits.holds', 'credits.lots', 'credits.usage_stats', 'credits.usage_watermarks', 'credits.debts',
		'credits.purchases', 'subscriptions.subscriptions', 'subscriptions.invoices']
	LOOP
		EXECUTE format($policy$ALTER POLICY %I ON %s
			USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()
				OR user_id IN (SELECT 'org:' || m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin'))))$policy$,
			split_part(named, '.', 2) || '_select', named);
	END LOOP;
END
$$;

-- A key that is deleted takes what it spent with it.
CREATE FUNCTION credits.forget_key() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	DELETE FROM credits.spending AS s WHERE s.spender = 'key:' || OLD.id;
	RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION credits.forget_key() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.forget_key() TO mana_system;
CREATE TRIGGER api_keys_forget AFTER DELETE ON auth.api_keys
	FOR EACH ROW EXECUTE FUNCTION credits.forget_key();
