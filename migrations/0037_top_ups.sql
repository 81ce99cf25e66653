-- Automatic top-up: a dip of the balance, as credits.watch_balance decides it, buys a package with a card that was saved at
-- Stripe. A top-up is one dip's: it has the id of the dip's alert, and so has the purchase it makes. Money is in euro cents.

CREATE TABLE credits.top_up_settings (
	account_id            text COLLATE "C" PRIMARY KEY,
	user_id               text COLLATE "C" NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	enabled               boolean NOT NULL DEFAULT false,
	package_id            text COLLATE "C" REFERENCES credits.packages,
	price_euro_cents      bigint CHECK (price_euro_cents > 0),
	monthly_cap_cents     bigint CHECK (monthly_cap_cents >= price_euro_cents),
	agreed_at             timestamptz,
	payment_method_id     text COLLATE "C",
	card_brand            text,
	card_last4            text,
	card_exp_month        int,
	card_exp_year         int,
	card_livemode         boolean,
	card_saved_at         timestamptz,
	failures              int NOT NULL DEFAULT 0 CHECK (failures >= 0),
	off_reason            text COLLATE "C" CHECK (off_reason IN ('declined', 'unconfirmed', 'card', 'package')),
	updated_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
	CHECK (NOT enabled OR payment_method_id IS NOT NULL AND package_id IS NOT NULL AND price_euro_cents IS NOT NULL
		AND monthly_cap_cents IS NOT NULL AND agreed_at IS NOT NULL),
	CHECK ((payment_method_id IS NULL) = (card_saved_at IS NULL))
);
COMMENT ON TABLE credits.top_up_settings IS 'the threshold is that of the account, credits.balances.low_below';
COMMENT ON COLUMN credits.top_up_settings.user_id IS 'who agreed: the owner of the account, or who manages it for their organisation';
COMMENT ON COLUMN credits.top_up_settings.price_euro_cents IS 'what the package cost when they agreed; at a higher price it is not bought';
COMMENT ON COLUMN credits.top_up_settings.failures IS 'payments that were declined since the last that succeeded';
COMMENT ON COLUMN credits.top_up_settings.off_reason IS 'why it switched itself off; NULL where its owner did, or it is on';
CREATE INDEX top_up_settings_user_id_idx ON credits.top_up_settings (user_id);
CREATE INDEX top_up_settings_package_id_idx ON credits.top_up_settings (package_id);
ALTER TABLE credits.top_up_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.top_up_settings FORCE ROW LEVEL SECURITY;
CREATE POLICY top_up_settings_system ON credits.top_up_settings
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.top_up_settings TO mana_system;

CREATE TABLE credits.top_ups (
	id               text COLLATE "C" PRIMARY KEY,
	account_id       text COLLATE "C" NOT NULL,
	user_id          text COLLATE "C" NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	state            text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirm', 'bought', 'ended')),
	reason           text COLLATE "C" CHECK (reason IN ('cap', 'daily', 'processing', 'declined', 'stripe', 'unneeded', 'off', 'unconfirmed', 'card', 'package')),
	price_euro_cents bigint CHECK (price_euro_cents > 0),
	tries            int NOT NULL DEFAULT 0 CHECK (tries >= 0),
	faults           int NOT NULL DEFAULT 0 CHECK (faults >= 0),
	due_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
	created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
	ordered_at       timestamptz,
	ended_at         timestamptz,
	CHECK ((price_euro_cents IS NULL) = (ordered_at IS NULL)),
	CHECK ((state IN ('bought', 'ended')) = (ended_at IS NOT NULL)),
	CHECK (state NOT IN ('confirm', 'bought') OR ordered_at IS NOT NULL)
);
COMMENT ON COLUMN credits.top_ups.id IS 'of the alert of the dip, and of the purchase';
COMMENT ON COLUMN credits.top_ups.state IS 'confirm waits for its owner, who must confirm the payment with their bank';
COMMENT ON COLUMN credits.top_ups.reason IS 'why it waits, or why it ended';
COMMENT ON COLUMN credits.top_ups.tries IS 'times that the card was declined';
COMMENT ON COLUMN credits.top_ups.faults IS 'times that Stripe could not be asked, since it last answered';
COMMENT ON COLUMN credits.top_ups.due_at IS 'when it is looked at next';
COMMENT ON COLUMN credits.top_ups.ordered_at IS 'when its purchase was written, which counts towards the cap';
CREATE UNIQUE INDEX top_ups_running_key ON credits.top_ups (account_id) WHERE state IN ('open', 'confirm');
CREATE INDEX top_ups_due_idx ON credits.top_ups (due_at) WHERE state IN ('open', 'confirm');
CREATE INDEX top_ups_account_id_idx ON credits.top_ups (account_id, created_at DESC);
CREATE INDEX top_ups_user_id_idx ON credits.top_ups (user_id);
ALTER TABLE credits.top_ups ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.top_ups FORCE ROW LEVEL SECURITY;
CREATE POLICY top_ups_system ON credits.top_ups
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.top_ups TO mana_system;

ALTER TABLE credits.purchases DROP CONSTRAINT purchases_kind_check;
ALTER TABLE credits.purchases ADD CONSTRAINT purchases_kind_check CHECK (kind IN ('intent', 'checkout', 'top_up'));

-- begin_top_up begins the top-up of a dip, unless one of the account is under way. What it does is told then, and not that
-- the balance is low.
CREATE FUNCTION credits.begin_top_up() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	INSERT INTO credits.top_ups (id, account_id, user_id)
	SELECT NEW.id, s.account_id, s.user_id FROM credits.top_up_settings AS s
	WHERE s.account_id = NEW.account_id AND s.enabled
	ON CONFLICT DO NOTHING;
	IF FOUND THEN
		UPDATE credits.alerts AS l SET told_at = clock_timestamp() WHERE l.id = NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER alerts_top_up AFTER INSERT ON credits.alerts
	FOR EACH ROW WHEN (NEW.kind = 'low')
	EXECUTE FUNCTION credits.begin_top_up();

-- A top-up is over with its purchase, whichever way that was learned.
CREATE FUNCTION credits.end_top_up() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	UPDATE credits.top_ups AS t SET state = 'bought', reason = NULL, ended_at = clock_timestamp()
	WHERE t.id = NEW.id AND t.account_id = NEW.user_id;
	UPDATE credits.top_up_settings AS s SET failures = 0 WHERE s.account_id = NEW.user_id AND s.failures > 0;
	RETURN NULL;
END $$;
CREATE TRIGGER purchases_top_up AFTER UPDATE OF status ON credits.purchases
	FOR EACH ROW WHEN (NEW.kind = 'top_up' AND NEW.status = 'completed' AND OLD.status <> 'completed')
	EXECUTE FUNCTION credits.end_top_up();

-- What a top-up waits for, and that it is off, is told. Such as end a dip that was over tell of nothing.
CREATE FUNCTION credits.alert_top_up() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
	told  jsonb := jsonb_build_object('accountId', NEW.account_id);
	month CONSTANT timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
	cap   bigint;
	spent bigint;
BEGIN
	IF NEW.state = 'ended' THEN
		PERFORM credits.alert(NEW.account_id, NULL, 'top_up_off', 'top_up.disabled', NULL, told || jsonb_build_object('reason', NEW.reason));
	ELSIF NEW.reason = 'cap' THEN
		SELECT s.monthly_cap_cents INTO cap FROM credits.top_up_settings AS s WHERE s.account_id = NEW.account_id;
		SELECT coalesce(sum(t.price_euro_cents), 0) INTO spent FROM credits.top_ups AS t
		WHERE t.account_id = NEW.account_id AND t.state <> 'ended' AND t.ordered_at >= month;
		PERFORM credits.alert(NEW.account_id, NULL, 'top_up_capped', 'top_up.capped',
			'top-up:' || NEW.account_id || ':' || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM') || ':' || cap,
			told || jsonb_build_object('spentEuroCents', spent, 'capEuroCents', cap));
	ELSE
		SELECT told || jsonb_build_object('purchaseId', p.id, 'credits', mana.credits(p.credits), 'euroCents', p.price_euro_cents) INTO told
		FROM credits.purchases AS p WHERE p.id = NEW.id AND p.user_id = NEW.account_id;
		IF NEW.state = 'confirm' THEN
			PERFORM credits.alert(NEW.account_id, NULL, 'top_up_confirm', 'top_up.confirmation_required', NULL, told);
		ELSE
			PERFORM credits.alert(NEW.account_id, NULL, 'top_up_failed', 'top_up.failed', NULL, told);
		END IF;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER top_ups_alert AFTER UPDATE OF state, reason, tries ON credits.top_ups
	FOR EACH ROW WHEN (
		NEW.state = 'ended' AND OLD.state <> 'ended' AND NEW.reason IN ('declined', 'unconfirmed', 'card', 'package')
			OR NEW.state = 'open' AND NEW.reason = 'cap'
			OR NEW.state = 'confirm' AND OLD.state <> 'confirm'
			OR NEW.state = 'open' AND NEW.tries > OLD.tries)
	EXECUTE FUNCTION credits.alert_top_up();
REVOKE EXECUTE ON FUNCTION credits.begin_top_up(), credits.end_top_up(), credits.alert_top_up() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.begin_top_up(), credits.end_top_up(), credits.alert_top_up() TO mana_system;

-- What a top-up bought is told with its price.
CREATE OR REPLACE FUNCTION credits.alert_purchase() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
	price bigint;
BEGIN
	SELECT p.price_euro_cents INTO price FROM credits.purchases AS p
	WHERE p.id = substr(NEW.reference, length('purchase:') + 1) AND p.user_id = NEW.user_id AND p.kind = 'top_up';
	PERFORM credits.alert(NEW.user_id, NULL, CASE WHEN price IS NULL THEN 'purchased' ELSE 'topped_up' END, NULL, NULL,
		jsonb_strip_nulls(jsonb_build_object('accountId', NEW.user_id, 'transactionId', NEW.transaction_id, 'reference', NEW.reference,
			'credits', mana.credits(NEW.granted), 'euroCents', price)));
	RETURN NULL;
END $$;
