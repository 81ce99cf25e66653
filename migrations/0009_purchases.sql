-- Money: packages for sale, purchases, Stripe's customers and events.

CREATE TABLE credits.packages (
	id               text PRIMARY KEY DEFAULT gen_random_uuid()::text,
	name             text NOT NULL CHECK (name <> ''),
	description      text,
	credits          bigint NOT NULL CHECK (credits > 0 AND credits <= 1000000000000),
	price_euro_cents bigint NOT NULL CHECK (price_euro_cents > 0 AND price_euro_cents <= 99999999),
	stripe_price_id  text UNIQUE,
	active           boolean NOT NULL DEFAULT true,
	sort_order       int NOT NULL DEFAULT 0,
	metadata         jsonb,
	created_at       timestamptz NOT NULL DEFAULT now(),
	updated_at       timestamptz NOT NULL DEFAULT now(),
	seeded           boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN credits.packages.credits IS 'thousandths of a credit';
COMMENT ON COLUMN credits.packages.seeded IS 'written by the configuration, which may take it off sale';
CREATE INDEX packages_name_idx ON credits.packages (name);
ALTER TABLE credits.packages ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.packages FORCE ROW LEVEL SECURITY;
CREATE POLICY packages_system ON credits.packages
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.packages TO mana_system;

CREATE TABLE credits.stripe_customers (
	user_id            text PRIMARY KEY REFERENCES auth.users,
	stripe_customer_id text NOT NULL UNIQUE,
	email              text,
	created_at         timestamptz NOT NULL DEFAULT now(),
	updated_at         timestamptz NOT NULL DEFAULT now(),
	livemode           boolean
);
COMMENT ON COLUMN credits.stripe_customers.livemode IS 'NULL for rows of the replaced service: unknown';
ALTER TABLE credits.stripe_customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.stripe_customers FORCE ROW LEVEL SECURITY;
CREATE POLICY stripe_customers_system ON credits.stripe_customers
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.stripe_customers TO mana_system;

-- What was bought, at the terms of that moment. No row is ever deleted.
CREATE TABLE credits.purchases (
	id                       text PRIMARY KEY DEFAULT gen_random_uuid()::text,
	user_id                  text NOT NULL REFERENCES auth.users,
	package_id               text REFERENCES credits.packages,
	credits                  bigint NOT NULL CHECK (credits > 0 AND credits <= 1000000000000),
	price_euro_cents         bigint NOT NULL CHECK (price_euro_cents > 0 AND price_euro_cents <= 99999999),
	stripe_payment_intent_id text UNIQUE,
	stripe_customer_id       text,
	status                   text NOT NULL DEFAULT 'pending'
		CHECK (status IN ('pending', 'completed', 'failed', 'cancelled')),
	metadata                 jsonb,
	created_at               timestamptz NOT NULL DEFAULT now(),
	completed_at             timestamptz,
	kind                     text NOT NULL DEFAULT 'intent' CHECK (kind IN ('intent', 'checkout')),
	stripe_session_id        text UNIQUE,
	checkout_url             text,
	expires_at               timestamptz,
	idempotency_key          text CHECK (idempotency_key <> '' AND length(idempotency_key) <= 255),
	request_hash             bytea,
	reversed_euro_cents      bigint NOT NULL DEFAULT 0 CHECK (reversed_euro_cents >= 0),
	reversed_credits         bigint NOT NULL DEFAULT 0 CHECK (reversed_credits >= 0 AND reversed_credits <= credits),
	clawed_back              bigint NOT NULL DEFAULT 0 CHECK (clawed_back >= 0),
	shortfall                bigint NOT NULL DEFAULT 0 CHECK (shortfall >= 0 AND shortfall = reversed_credits - clawed_back),
	revision                 bigint NOT NULL DEFAULT 0,
	updated_at               timestamptz NOT NULL DEFAULT now(),
	CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
	CHECK (status = 'completed' OR reversed_credits = 0),
	CHECK ((idempotency_key IS NULL) OR (request_hash IS NOT NULL)),
	UNIQUE (user_id, idempotency_key)
);
COMMENT ON COLUMN credits.purchases.credits IS 'thousandths of a credit';
COMMENT ON COLUMN credits.purchases.reversed_euro_cents IS 'refunded or held back by a dispute, of the price';
COMMENT ON COLUMN credits.purchases.reversed_credits IS 'what that is in thousandths of a credit';
COMMENT ON COLUMN credits.purchases.clawed_back IS 'what of it could be taken from the account';
COMMENT ON COLUMN credits.purchases.shortfall IS 'what of it was spent already';
CREATE INDEX purchases_user_id_idx ON credits.purchases (user_id, created_at DESC, id DESC);
CREATE INDEX purchases_package_id_idx ON credits.purchases (package_id);
CREATE INDEX purchases_created_at_idx ON credits.purchases (created_at);
CREATE INDEX purchases_pending_idx ON credits.purchases (created_at) WHERE status = 'pending';
ALTER TABLE credits.purchases ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.purchases FORCE ROW LEVEL SECURITY;
CREATE POLICY purchases_system ON credits.purchases
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY purchases_select ON credits.purchases
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.purchases TO mana_system;
GRANT SELECT ON credits.purchases TO mana_user;

-- Every event of Stripe that was taken, written in the transaction of its effect.
CREATE TABLE credits.stripe_events (
	id          text PRIMARY KEY,
	type        text NOT NULL,
	object_id   text,
	livemode    boolean NOT NULL,
	outcome     text NOT NULL CHECK (outcome IN ('applied', 'foreign', 'refused')),
	created_at  timestamptz NOT NULL,
	received_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN credits.stripe_events.created_at IS 'by the clock of Stripe';
CREATE INDEX stripe_events_received_at_idx ON credits.stripe_events (received_at);
ALTER TABLE credits.stripe_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.stripe_events FORCE ROW LEVEL SECURITY;
CREATE POLICY stripe_events_system ON credits.stripe_events
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.stripe_events TO mana_system;
