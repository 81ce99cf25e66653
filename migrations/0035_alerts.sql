-- What the owner of an account is told of it: that little is left, that it is not enough, that credits end soon, that a
-- budget is spent, that credits came in, that something is owed, that a renewal was not paid. Each is written in the
-- transaction of its cause and told by any edge. All amounts are thousandths of a credit.

CREATE TABLE credits.alerts (
	id         text COLLATE "C" PRIMARY KEY DEFAULT gen_random_uuid()::text,
	account_id text COLLATE "C" NOT NULL,
	user_id    text COLLATE "C" REFERENCES auth.users ON DELETE CASCADE,
	kind       text COLLATE "C" NOT NULL CHECK (kind <> ''),
	name       text COLLATE "C" UNIQUE,
	data       jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	told_at    timestamptz
);
COMMENT ON COLUMN credits.alerts.user_id IS 'whom alone it concerns, such as the member whose allotment is spent; NULL for whoever has the account';
COMMENT ON COLUMN credits.alerts.name IS 'of what there is one alert only, such as a budget in its period';
COMMENT ON COLUMN credits.alerts.data IS 'ids and numbers, as the webhooks tell them';
COMMENT ON COLUMN credits.alerts.told_at IS 'when the outbox got the mails, if there were any';
CREATE INDEX alerts_account_id_idx ON credits.alerts (account_id, created_at DESC, id DESC);
CREATE INDEX alerts_user_id_idx ON credits.alerts (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX alerts_created_at_idx ON credits.alerts (created_at);
CREATE INDEX alerts_untold_idx ON credits.alerts (created_at) WHERE told_at IS NULL;
ALTER TABLE credits.alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.alerts FORCE ROW LEVEL SECURITY;
CREATE POLICY alerts_system ON credits.alerts
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY alerts_select ON credits.alerts
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (account_id = mana.user_id() OR user_id = mana.user_id() OR mana.is_admin()
		OR account_id IN (SELECT 'org:' || m.organization_id FROM auth.my_memberships AS m WHERE m.role IN ('owner', 'admin'))));
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.alerts TO mana_system;
GRANT SELECT ON credits.alerts TO mana_user;

ALTER TABLE credits.balances
	ADD COLUMN low_below bigint,
	ADD COLUMN low_told bigint,
	ADD COLUMN exhausted_told bigint,
	ADD COLUMN alerted_at timestamptz;
ALTER TABLE credits.balances ADD CONSTRAINT balances_low_below_check CHECK (low_below >= 0) NOT VALID;
COMMENT ON COLUMN credits.balances.low_below IS 'a balance below it is low; 0 never is, NULL takes mana.low_balance of the session';
COMMENT ON COLUMN credits.balances.low_told IS 'the threshold that the last alert told of; NULL once the balance was there again';
COMMENT ON COLUMN credits.balances.exhausted_told IS 'the price that the last alert told of; NULL once the balance was there again';
COMMENT ON COLUMN credits.balances.alerted_at IS 'when one of both was told last';

-- alert keeps an alert, and has it told to webhooks where they have a type of event for it. What an import carries over is none.
CREATE FUNCTION credits.alert(alert_account text, alert_user text, alert_kind text, event_type text, alert_name text, alert_data jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	IF coalesce(current_setting('mana.silent', true), '') <> '' THEN
		RETURN;
	END IF;
	INSERT INTO credits.alerts (account_id, user_id, kind, name, data)
	VALUES (alert_account, alert_user, alert_kind, alert_name, alert_data)
	ON CONFLICT (name) DO NOTHING;
	IF FOUND AND event_type IS NOT NULL THEN
		PERFORM mana.note_event(event_type, alert_account, alert_data);
	END IF;
END $$;
REVOKE EXECUTE ON FUNCTION credits.alert(text, text, text, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.alert(text, text, text, text, text, jsonb) TO mana_system;

-- watch_balance tells of a balance that fell below its threshold, once until it was there again. Credits that come in end
-- the dip; such as come back, of a request that failed or a refund, do so after an hour only, or a request that is charged
-- and given back at the threshold would tell of each try. A price that was refused need not be reached by what comes in a
-- day later.
CREATE FUNCTION credits.watch_balance() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
	moment    CONSTANT timestamptz := clock_timestamp();
	came      CONSTANT boolean := NEW.total_earned > OLD.total_earned;
	threshold bigint;
BEGIN
	IF NEW.balance > OLD.balance THEN
		IF NEW.balance >= NEW.low_told AND (came OR NEW.alerted_at < moment - interval '1 hour') THEN
			NEW.low_told := NULL;
		END IF;
		IF NEW.balance >= NEW.exhausted_told AND (came OR NEW.alerted_at < moment - interval '1 hour')
			OR came AND NEW.alerted_at < moment - interval '1 day' THEN
			NEW.exhausted_told := NULL;
		END IF;
		RETURN NEW;
	END IF;
	threshold := coalesce(NEW.low_below, nullif(current_setting('mana.low_balance', true), '')::bigint);
	NEW.low_told := threshold;
	NEW.alerted_at := moment;
	PERFORM credits.alert(NEW.user_id, NULL, 'low', 'credits.low', NULL, jsonb_build_object('accountId', NEW.user_id,
		'balance', mana.credits(NEW.balance), 'threshold', mana.credits(threshold)));
	RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION credits.watch_balance() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.watch_balance() TO mana_system;
-- The condition is all that a debit pays for it: the function runs at the edges of a dip only.
CREATE TRIGGER balances_watch BEFORE UPDATE OF balance ON credits.balances
	FOR EACH ROW WHEN (
		NEW.balance < OLD.balance AND NEW.low_told IS NULL
			AND NEW.balance < coalesce(NEW.low_below, nullif(current_setting('mana.low_balance', true), '')::bigint)
		OR NEW.balance > OLD.balance AND (NEW.low_told IS NOT NULL OR NEW.exhausted_told IS NOT NULL))
	EXECUTE FUNCTION credits.watch_balance();

-- A lot is told of once, some days before its end.
ALTER TABLE credits.lots ADD COLUMN expiry_told boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN credits.lots.expiry_told IS 'its end was told, or is none to be told of';
CREATE INDEX lots_expiry_untold_idx ON credits.lots (expires_at) WHERE expires_at IS NOT NULL AND remaining > 0 AND NOT expiry_told;

CREATE FUNCTION credits.alert_purchase() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM credits.alert(NEW.user_id, NULL, 'purchased', NULL, NULL, jsonb_build_object('accountId', NEW.user_id,
		'transactionId', NEW.transaction_id, 'reference', NEW.reference, 'credits', mana.credits(NEW.granted)));
	RETURN NULL;
END $$;
CREATE TRIGGER lots_alert AFTER INSERT ON credits.lots
	FOR EACH ROW WHEN (NEW.parent IS NULL AND NEW.source = 'purchase')
	EXECUTE FUNCTION credits.alert_purchase();

CREATE FUNCTION credits.alert_debt() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM credits.alert(NEW.user_id, NULL, 'debt', NULL, NULL, jsonb_build_object('accountId', NEW.user_id,
		'debtId', NEW.id, 'credits', mana.credits(NEW.amount)));
	RETURN NULL;
END $$;
CREATE TRIGGER debts_alert AFTER INSERT ON credits.debts
	FOR EACH ROW WHEN (NEW.kind = 'incurred')
	EXECUTE FUNCTION credits.alert_debt();

-- A subscription that goes on from "past due" to "unpaid" has failed once.
CREATE FUNCTION subscriptions.alert_renewal() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM credits.alert(NEW.user_id, NULL, 'renewal_failed', NULL, NULL, jsonb_build_object('accountId', NEW.user_id,
		'subscriptionId', NEW.id, 'planId', NEW.plan_id));
	RETURN NULL;
END $$;
CREATE TRIGGER subscriptions_alert AFTER UPDATE OF status ON subscriptions.subscriptions
	FOR EACH ROW WHEN (NEW.status IN ('past_due', 'unpaid') AND OLD.status NOT IN ('past_due', 'unpaid'))
	EXECUTE FUNCTION subscriptions.alert_renewal();

REVOKE EXECUTE ON FUNCTION credits.alert_purchase(), credits.alert_debt(), subscriptions.alert_renewal() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.alert_purchase(), credits.alert_debt(), subscriptions.alert_renewal() TO mana_system;
