-- Outgoing webhooks: what happens is noted in the transaction of its cause, passed on to every endpoint that wants it, and
-- delivered by the outbox, in order for each subject.

CREATE TABLE mana.webhook_endpoints (
	id                  text COLLATE "C" PRIMARY KEY CHECK (id <> ''),
	url                 text NOT NULL CHECK (url <> ''),
	description         text NOT NULL DEFAULT '',
	types               text[] COLLATE "C" NOT NULL DEFAULT '{}',
	secret              bytea NOT NULL,
	previous_secret     bytea,
	previous_until      timestamptz,
	failing_since       timestamptz,
	disabled_at         timestamptz,
	disabled_reason     text,
	created_at          timestamptz NOT NULL DEFAULT now(),
	CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
	CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);
COMMENT ON COLUMN mana.webhook_endpoints.types IS 'the events it is told of; empty for all';
COMMENT ON COLUMN mana.webhook_endpoints.secret IS 'sealed, with the id as additional data, as is the one before';
COMMENT ON COLUMN mana.webhook_endpoints.previous_until IS 'until when requests are signed with the secret before, too';
COMMENT ON COLUMN mana.webhook_endpoints.failing_since IS 'the first try that failed after the last that succeeded';
ALTER TABLE mana.webhook_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.webhook_endpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_endpoints_system ON mana.webhook_endpoints
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON mana.webhook_endpoints TO mana_system;

CREATE TABLE mana.webhook_events (
	id         text COLLATE "C" PRIMARY KEY DEFAULT 'evt_' || replace(gen_random_uuid()::text, '-', ''),
	sequence   bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
	type       text COLLATE "C" NOT NULL CHECK (type <> ''),
	subject    text COLLATE "C" NOT NULL CHECK (subject <> ''),
	data       jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	relayed_at timestamptz
);
COMMENT ON COLUMN mana.webhook_events.subject IS 'what it is about, an account in most cases; events of one subject are delivered in order. No foreign key: an event outlives the account';
COMMENT ON COLUMN mana.webhook_events.data IS 'ids and numbers, nothing that tells who somebody is';
COMMENT ON COLUMN mana.webhook_events.relayed_at IS 'when the outbox got a message for each endpoint';
CREATE INDEX webhook_events_sequence_idx ON mana.webhook_events (sequence) WHERE relayed_at IS NULL;
CREATE INDEX webhook_events_created_at_idx ON mana.webhook_events (created_at);
ALTER TABLE mana.webhook_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.webhook_events FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_events_system ON mana.webhook_events
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON mana.webhook_events TO mana_system;

CREATE TABLE mana.webhook_deliveries (
	endpoint_id  text COLLATE "C" NOT NULL REFERENCES mana.webhook_endpoints ON DELETE CASCADE,
	event_id     text COLLATE "C" NOT NULL REFERENCES mana.webhook_events ON DELETE CASCADE,
	sequence     bigint NOT NULL,
	message_id   text COLLATE "C" NOT NULL,
	tries        int NOT NULL DEFAULT 0 CHECK (tries >= 0),
	last_try_at  timestamptz,
	last_answer  text NOT NULL DEFAULT '',
	delivered_at timestamptz,
	PRIMARY KEY (endpoint_id, event_id)
);
COMMENT ON COLUMN mana.webhook_deliveries.sequence IS 'that of the event';
COMMENT ON COLUMN mana.webhook_deliveries.message_id IS 'of the outbox, which tries; the last one where the event was replayed';
CREATE INDEX webhook_deliveries_endpoint_id_sequence_idx ON mana.webhook_deliveries (endpoint_id, sequence);
CREATE INDEX webhook_deliveries_event_id_idx ON mana.webhook_deliveries (event_id);
ALTER TABLE mana.webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.webhook_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_deliveries_system ON mana.webhook_deliveries
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON mana.webhook_deliveries TO mana_system;

-- Messages of a queue are delivered one after the other, by their position.
CREATE SEQUENCE mana.outbox_position;
GRANT USAGE ON SEQUENCE mana.outbox_position TO mana_system;
ALTER TABLE mana.outbox
	ADD COLUMN queue text COLLATE "C",
	ADD COLUMN position bigint,
	ADD CONSTRAINT outbox_queue_check CHECK ((queue IS NULL) = (position IS NULL));
COMMENT ON COLUMN mana.outbox.queue IS 'within the channel; what has none is delivered in any order';
CREATE INDEX outbox_queue_idx ON mana.outbox (channel, queue, position) WHERE queue IS NOT NULL AND sent_at IS NULL AND dead_at IS NULL;

-- note_event notes what happened, where there is an endpoint, be it a disabled one: what that missed can be replayed.
CREATE FUNCTION mana.note_event(event_type text, event_subject text, event_data jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	INSERT INTO mana.webhook_events (type, subject, data)
	SELECT event_type, event_subject, event_data
	WHERE EXISTS (SELECT FROM mana.webhook_endpoints)
		AND coalesce(current_setting('mana.silent', true), '') = '';
END $$;
REVOKE EXECUTE ON FUNCTION mana.note_event(text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mana.note_event(text, text, jsonb) TO mana_system;

-- Credits as they stand on the wire: a number with up to three decimals.
CREATE FUNCTION mana.credits(thousandths bigint) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$ SELECT trim_scale(thousandths / 1000.0) $$;
GRANT EXECUTE ON FUNCTION mana.credits(bigint) TO mana_system;

CREATE FUNCTION auth.note_user_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		PERFORM mana.note_event('user.created', NEW.id, jsonb_build_object('userId', NEW.id, 'role', NEW.role, 'emailVerified', NEW.email_verified));
		RETURN NULL;
	END IF;
	IF NEW.deleted_at IS NOT NULL THEN
		IF OLD.deleted_at IS NULL THEN
			PERFORM mana.note_event('user.deleted', NEW.id, jsonb_build_object('userId', NEW.id));
		END IF;
		RETURN NULL;
	END IF;
	IF NEW.email <> OLD.email THEN
		PERFORM mana.note_event('user.email_changed', NEW.id, jsonb_build_object('userId', NEW.id, 'emailVerified', NEW.email_verified));
	END IF;
	IF NEW.email_verified AND NOT OLD.email_verified THEN
		PERFORM mana.note_event('user.verified', NEW.id, jsonb_build_object('userId', NEW.id));
	END IF;
	IF NEW.role <> OLD.role THEN
		PERFORM mana.note_event('user.role_changed', NEW.id, jsonb_build_object('userId', NEW.id, 'role', NEW.role, 'previousRole', OLD.role));
	END IF;
	IF NEW.disabled_at IS NOT NULL AND OLD.disabled_at IS NULL THEN
		PERFORM mana.note_event('user.disabled', NEW.id, jsonb_build_object('userId', NEW.id));
	ELSIF NEW.disabled_at IS NULL AND OLD.disabled_at IS NOT NULL THEN
		PERFORM mana.note_event('user.enabled', NEW.id, jsonb_build_object('userId', NEW.id));
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER users_note_event AFTER INSERT OR UPDATE OF email, email_verified, role, disabled_at, deleted_at ON auth.users
	FOR EACH ROW EXECUTE FUNCTION auth.note_user_event();

CREATE FUNCTION auth.note_session_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event('session.revoked', NEW.user_id, jsonb_build_object('userId', NEW.user_id, 'sessionId', NEW.id));
	RETURN NULL;
END $$;
CREATE TRIGGER sessions_note_event AFTER UPDATE OF revoked_at ON auth.sessions
	FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
	EXECUTE FUNCTION auth.note_session_event();

-- Credits that come in from outside: their lot has no parent. What debits, gifts and refunds write is never looked at.
CREATE FUNCTION credits.note_lot_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event(CASE NEW.source WHEN 'purchase' THEN 'credits.purchased' ELSE 'credits.granted' END, NEW.user_id,
		jsonb_build_object('accountId', NEW.user_id, 'transactionId', NEW.transaction_id, 'source', NEW.source, 'reference', NEW.reference,
			'credits', mana.credits(NEW.granted), 'expiresAt', NEW.expires_at));
	RETURN NULL;
END $$;
CREATE TRIGGER lots_note_event AFTER INSERT ON credits.lots
	FOR EACH ROW WHEN (NEW.parent IS NULL AND NEW.source IN ('purchase', 'subscription', 'admin'))
	EXECUTE FUNCTION credits.note_lot_event();

CREATE FUNCTION credits.note_reversal_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event('purchase.reversed', NEW.user_id, jsonb_build_object('accountId', NEW.user_id, 'purchaseId', NEW.id,
		'credits', mana.credits(NEW.credits), 'reversedCredits', mana.credits(NEW.reversed_credits)));
	RETURN NULL;
END $$;
CREATE TRIGGER purchases_note_event AFTER UPDATE OF reversed_credits ON credits.purchases
	FOR EACH ROW WHEN (NEW.reversed_credits <> OLD.reversed_credits)
	EXECUTE FUNCTION credits.note_reversal_event();

CREATE FUNCTION credits.note_debt_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event(CASE WHEN NEW.kind = 'incurred' THEN 'debt.created' ELSE 'debt.reduced' END, NEW.user_id,
		jsonb_build_object('accountId', NEW.user_id, 'debtId', NEW.id, 'kind', NEW.kind, 'credits', mana.credits(abs(NEW.amount))));
	RETURN NULL;
END $$;
CREATE TRIGGER debts_note_event AFTER INSERT ON credits.debts
	FOR EACH ROW EXECUTE FUNCTION credits.note_debt_event();

CREATE FUNCTION gifts.note_redemption_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event('gift.redeemed', NEW.redeemer_user_id, jsonb_build_object('userId', NEW.redeemer_user_id, 'giftId', NEW.gift_code_id,
		'redemptionId', NEW.id, 'credits', mana.credits(NEW.credits_received)));
	RETURN NULL;
END $$;
CREATE TRIGGER gift_redemptions_note_event AFTER INSERT ON gifts.gift_redemptions
	FOR EACH ROW WHEN (NEW.status = 'success') EXECUTE FUNCTION gifts.note_redemption_event();

CREATE FUNCTION subscriptions.note_subscription_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
	-- What a row that is not there yet, or not paid for yet, says of its status.
	before CONSTANT text := CASE WHEN TG_OP = 'INSERT' THEN 'incomplete' ELSE OLD.status END;
	told   CONSTANT jsonb := jsonb_build_object('accountId', NEW.user_id, 'subscriptionId', NEW.id, 'planId', NEW.plan_id, 'status', NEW.status,
		'cancelAtPeriodEnd', NEW.cancel_at_period_end);
BEGIN
	IF NEW.status = before THEN
		IF TG_OP = 'UPDATE' AND NEW.live AND (NEW.plan_id, NEW.cancel_at_period_end) IS DISTINCT FROM (OLD.plan_id, OLD.cancel_at_period_end) THEN
			PERFORM mana.note_event('subscription.changed', NEW.user_id, told);
		END IF;
	ELSIF NEW.status IN ('past_due', 'unpaid') THEN
		PERFORM mana.note_event('subscription.renewal_failed', NEW.user_id, told);
	ELSIF NEW.status IN ('canceled', 'incomplete_expired') THEN
		IF before NOT IN ('incomplete', 'canceled', 'incomplete_expired') THEN
			PERFORM mana.note_event('subscription.ended', NEW.user_id, told);
		END IF;
	ELSIF before = 'incomplete' THEN
		PERFORM mana.note_event('subscription.started', NEW.user_id, told);
	ELSE
		PERFORM mana.note_event('subscription.changed', NEW.user_id, told);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER subscriptions_note_event AFTER INSERT OR UPDATE OF status, plan_id, cancel_at_period_end ON subscriptions.subscriptions
	FOR EACH ROW EXECUTE FUNCTION subscriptions.note_subscription_event();

CREATE FUNCTION subscriptions.note_invoice_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event('subscription.renewed', NEW.user_id, jsonb_build_object('accountId', NEW.user_id, 'invoiceId', NEW.id,
		'subscriptionId', NEW.subscription_id, 'amountPaidEuroCents', NEW.amount_paid_euro_cents));
	RETURN NULL;
END $$;
CREATE TRIGGER invoices_note_event AFTER INSERT ON subscriptions.invoices
	FOR EACH ROW WHEN (NEW.status = 'paid' AND NEW.stripe_subscription_id IS NOT NULL)
	EXECUTE FUNCTION subscriptions.note_invoice_event();
CREATE TRIGGER invoices_note_event_paid AFTER UPDATE OF status ON subscriptions.invoices
	FOR EACH ROW WHEN (NEW.status = 'paid' AND OLD.status <> 'paid' AND NEW.stripe_subscription_id IS NOT NULL)
	EXECUTE FUNCTION subscriptions.note_invoice_event();
