-- Plans, subscriptions, their invoices, and the credits that are due for them.

CREATE SCHEMA subscriptions;
GRANT USAGE ON SCHEMA subscriptions TO mana_user, mana_system;

CREATE TABLE subscriptions.plans (
	id                       text PRIMARY KEY DEFAULT gen_random_uuid()::text,
	name                     text NOT NULL CHECK (name <> ''),
	description              text,
	monthly_credits          bigint NOT NULL DEFAULT 0 CHECK (monthly_credits >= 0 AND monthly_credits <= 1000000000000),
	price_monthly_euro_cents bigint NOT NULL DEFAULT 0 CHECK (price_monthly_euro_cents >= 0),
	price_yearly_euro_cents  bigint NOT NULL DEFAULT 0 CHECK (price_yearly_euro_cents >= 0),
	stripe_price_id_monthly  text CHECK (stripe_price_id_monthly <> ''),
	stripe_price_id_yearly   text CHECK (stripe_price_id_yearly <> ''),
	stripe_product_id        text,
	features                 jsonb DEFAULT '[]' CHECK (jsonb_typeof(features) = 'array'),
	max_team_members         int,
	max_organizations        int,
	is_default               boolean NOT NULL DEFAULT false,
	is_enterprise            boolean NOT NULL DEFAULT false,
	active                   boolean NOT NULL DEFAULT true,
	sort_order               int NOT NULL DEFAULT 0,
	metadata                 jsonb,
	created_at               timestamptz NOT NULL DEFAULT now(),
	updated_at               timestamptz NOT NULL DEFAULT now(),
	CHECK (stripe_price_id_monthly <> stripe_price_id_yearly)
);
COMMENT ON COLUMN subscriptions.plans.monthly_credits IS 'thousandths of a credit';
CREATE INDEX plans_name_idx ON subscriptions.plans (lower(name));
ALTER TABLE subscriptions.plans ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions.plans FORCE ROW LEVEL SECURITY;
CREATE POLICY plans_system ON subscriptions.plans
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions.plans TO mana_system;

-- Every price a plan was ever sold at: who pays an old one still has the plan. The terms of a price never
-- change at Stripe; they are filled in when the first invoice names it.
CREATE TABLE subscriptions.prices (
	stripe_price_id text PRIMARY KEY,
	plan_id         text NOT NULL REFERENCES subscriptions.plans ON DELETE CASCADE,
	unit_amount     bigint CHECK (unit_amount >= 0),
	currency        text,
	period          text CHECK (period IN ('day', 'week', 'month', 'year')),
	period_count    int CHECK (period_count > 0),
	created_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN subscriptions.prices.unit_amount IS 'cents for one period';
CREATE INDEX prices_plan_id_idx ON subscriptions.prices (plan_id);
ALTER TABLE subscriptions.prices ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions.prices FORCE ROW LEVEL SECURITY;
CREATE POLICY prices_system ON subscriptions.prices
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions.prices TO mana_system;

CREATE FUNCTION subscriptions.keep_prices() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO subscriptions.prices (stripe_price_id, plan_id)
	SELECT id, NEW.id
	FROM unnest(ARRAY[NEW.stripe_price_id_monthly, NEW.stripe_price_id_yearly]) AS id
	WHERE id IS NOT NULL
	ON CONFLICT (stripe_price_id) DO UPDATE SET plan_id = excluded.plan_id;
	RETURN NULL;
END $$;
CREATE TRIGGER plans_keep_prices AFTER INSERT OR UPDATE OF stripe_price_id_monthly, stripe_price_id_yearly
	ON subscriptions.plans FOR EACH ROW EXECUTE FUNCTION subscriptions.keep_prices();
REVOKE EXECUTE ON FUNCTION subscriptions.keep_prices() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION subscriptions.keep_prices() TO mana_system;

CREATE TABLE subscriptions.subscriptions (
	id                     text PRIMARY KEY DEFAULT gen_random_uuid()::text,
	user_id                text NOT NULL REFERENCES auth.users,
	plan_id                text NOT NULL REFERENCES subscriptions.plans,
	stripe_subscription_id text UNIQUE,
	stripe_customer_id     text,
	stripe_price_id        text,
	status                 text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'canceled', 'past_due', 'unpaid',
		'trialing', 'incomplete', 'incomplete_expired', 'paused')),
	billing_interval       text NOT NULL DEFAULT 'month' CHECK (billing_interval IN ('day', 'week', 'month', 'year')),
	current_period_start   timestamptz,
	current_period_end     timestamptz,
	cancel_at_period_end   boolean NOT NULL DEFAULT false,
	canceled_at            timestamptz,
	ended_at               timestamptz,
	trial_start            timestamptz,
	trial_end              timestamptz,
	metadata               jsonb,
	created_at             timestamptz NOT NULL DEFAULT now(),
	updated_at             timestamptz NOT NULL DEFAULT now(),
	live                   boolean NOT NULL GENERATED ALWAYS AS
		(status IN ('active', 'trialing', 'past_due', 'unpaid', 'paused')) STORED,
	surplus                boolean NOT NULL DEFAULT false,
	revision               bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN subscriptions.subscriptions.surplus IS 'alive at Stripe beside an older one of the same user';
CREATE UNIQUE INDEX subscriptions_live_key ON subscriptions.subscriptions (user_id) WHERE live AND NOT surplus;
CREATE INDEX subscriptions_user_id_idx ON subscriptions.subscriptions (user_id);
CREATE INDEX subscriptions_plan_id_idx ON subscriptions.subscriptions (plan_id);
CREATE INDEX subscriptions_status_idx ON subscriptions.subscriptions (status);
CREATE INDEX subscriptions_current_period_end_idx ON subscriptions.subscriptions (current_period_end) WHERE live;
ALTER TABLE subscriptions.subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions.subscriptions FORCE ROW LEVEL SECURITY;
CREATE POLICY subscriptions_system ON subscriptions.subscriptions
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY subscriptions_select ON subscriptions.subscriptions
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON subscriptions.subscriptions TO mana_system;
GRANT SELECT ON subscriptions.subscriptions TO mana_user;

-- The one checkout of a user that may be open.
CREATE TABLE subscriptions.checkouts (
	user_id           text PRIMARY KEY REFERENCES auth.users,
	stripe_session_id text NOT NULL,
	url               text NOT NULL,
	fingerprint       bytea NOT NULL,
	expires_at        timestamptz NOT NULL,
	revision          bigint NOT NULL,
	created_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN subscriptions.checkouts.fingerprint IS 'SHA-256 of what was asked for';
ALTER TABLE subscriptions.checkouts ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions.checkouts FORCE ROW LEVEL SECURITY;
CREATE POLICY checkouts_system ON subscriptions.checkouts
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions.checkouts TO mana_system;

CREATE TABLE subscriptions.invoices (
	id                     text PRIMARY KEY DEFAULT gen_random_uuid()::text,
	user_id                text NOT NULL REFERENCES auth.users,
	subscription_id        text REFERENCES subscriptions.subscriptions,
	stripe_invoice_id      text NOT NULL UNIQUE,
	stripe_customer_id     text,
	number                 text,
	status                 text NOT NULL,
	amount_due_euro_cents  bigint NOT NULL,
	amount_paid_euro_cents bigint NOT NULL DEFAULT 0,
	currency               text NOT NULL DEFAULT 'eur',
	hosted_invoice_url     text,
	invoice_pdf_url        text,
	period_start           timestamptz,
	period_end             timestamptz,
	due_date               timestamptz,
	paid_at                timestamptz,
	metadata               jsonb,
	created_at             timestamptz NOT NULL DEFAULT now(),
	stripe_subscription_id text,
	reversed_euro_cents    bigint NOT NULL DEFAULT 0 CHECK (reversed_euro_cents >= 0),
	revision               bigint NOT NULL DEFAULT 0,
	updated_at             timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN subscriptions.invoices.reversed_euro_cents IS 'refunded or held back by a dispute, of what was paid';
CREATE INDEX invoices_user_id_idx ON subscriptions.invoices (user_id, created_at DESC, id DESC);
CREATE INDEX invoices_subscription_id_idx ON subscriptions.invoices (subscription_id);
CREATE INDEX invoices_stripe_subscription_id_idx ON subscriptions.invoices (stripe_subscription_id);
CREATE INDEX invoices_status_idx ON subscriptions.invoices (status);
ALTER TABLE subscriptions.invoices ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions.invoices FORCE ROW LEVEL SECURITY;
CREATE POLICY invoices_system ON subscriptions.invoices
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY invoices_select ON subscriptions.invoices
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON subscriptions.invoices TO mana_system;
GRANT SELECT ON subscriptions.invoices TO mana_user;

-- A cut is a line of a paid invoice that credits unused time of a price: from starts_at on, what was paid for
-- that price before no longer counts.
CREATE TABLE subscriptions.cuts (
	id                     text PRIMARY KEY,
	user_id                text NOT NULL REFERENCES auth.users,
	invoice_id             text NOT NULL REFERENCES subscriptions.invoices,
	stripe_subscription_id text NOT NULL,
	stripe_price_id        text NOT NULL,
	starts_at              timestamptz NOT NULL,
	ends_at                timestamptz NOT NULL
);
COMMENT ON COLUMN subscriptions.cuts.id IS 'of the line at Stripe';
CREATE INDEX cuts_user_id_idx ON subscriptions.cuts (user_id);
CREATE INDEX cuts_invoice_id_idx ON subscriptions.cuts (invoice_id);
CREATE INDEX cuts_stripe_subscription_id_idx ON subscriptions.cuts (stripe_subscription_id, stripe_price_id);
ALTER TABLE subscriptions.cuts ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions.cuts FORCE ROW LEVEL SECURITY;
CREATE POLICY cuts_system ON subscriptions.cuts
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT ON subscriptions.cuts TO mana_system;

-- An allotment is what one month of a paid invoice line is due in credits.
CREATE TABLE subscriptions.allotments (
	id                     text PRIMARY KEY,
	user_id                text NOT NULL REFERENCES auth.users,
	invoice_id             text NOT NULL REFERENCES subscriptions.invoices,
	stripe_subscription_id text NOT NULL,
	stripe_price_id        text NOT NULL,
	plan_id                text NOT NULL REFERENCES subscriptions.plans,
	line_id                text NOT NULL,
	line_starts_at         timestamptz NOT NULL,
	starts_at              timestamptz NOT NULL,
	ends_at                timestamptz NOT NULL,
	credits                bigint NOT NULL CHECK (credits > 0),
	cut_credits            bigint NOT NULL DEFAULT 0 CHECK (cut_credits BETWEEN 0 AND credits),
	reversed_credits       bigint NOT NULL DEFAULT 0 CHECK (reversed_credits BETWEEN 0 AND credits),
	reversed_taken         bigint NOT NULL DEFAULT 0 CHECK (reversed_taken BETWEEN 0 AND reversed_credits),
	clawed_back            bigint NOT NULL DEFAULT 0 CHECK (clawed_back >= 0),
	shortfall              bigint NOT NULL DEFAULT 0 CHECK (shortfall BETWEEN 0 AND cut_credits),
	withheld               bigint NOT NULL DEFAULT 0 CHECK (withheld >= 0),
	granted                bigint CHECK (granted >= 0 AND granted <= credits - withheld),
	granted_at             timestamptz,
	revision               bigint NOT NULL DEFAULT 0,
	CHECK (starts_at < ends_at),
	CHECK ((granted IS NULL) = (granted_at IS NULL)),
	CHECK (clawed_back <= coalesce(granted, 0))
);
COMMENT ON COLUMN subscriptions.allotments.credits IS 'thousandths of a credit, as are all amounts here';
COMMENT ON COLUMN subscriptions.allotments.cut_credits IS 'what fell away with a change of plan';
COMMENT ON COLUMN subscriptions.allotments.shortfall IS 'what of that was spent already; the next allotments are short of it';
COMMENT ON COLUMN subscriptions.allotments.withheld IS 'what was kept for earlier shortfalls';
COMMENT ON COLUMN subscriptions.allotments.reversed_credits IS 'what fell away with a refund or dispute';
COMMENT ON COLUMN subscriptions.allotments.reversed_taken IS 'what of that could be taken from the account';
COMMENT ON COLUMN subscriptions.allotments.granted IS 'NULL until it is due; what the ledger was given';
CREATE INDEX allotments_user_id_idx ON subscriptions.allotments (user_id);
CREATE INDEX allotments_invoice_id_idx ON subscriptions.allotments (invoice_id);
CREATE INDEX allotments_plan_id_idx ON subscriptions.allotments (plan_id);
CREATE INDEX allotments_due_idx ON subscriptions.allotments (starts_at)
	WHERE granted IS NULL AND cut_credits + reversed_credits < credits;
ALTER TABLE subscriptions.allotments ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions.allotments FORCE ROW LEVEL SECURITY;
CREATE POLICY allotments_system ON subscriptions.allotments
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON subscriptions.allotments TO mana_system;
