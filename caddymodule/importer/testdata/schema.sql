-- The schema of the replaced service, as its ORM made it, with what years have left behind: roles and statuses that
-- nobody knows any more, amounts that are no integers, members without a foreign key.

CREATE TYPE public.user_role AS ENUM ('user', 'admin', 'service', 'moderator');
CREATE TYPE public.transaction_type AS ENUM ('purchase', 'usage', 'refund', 'gift', 'bonus', 'expiry', 'adjustment', 'gift_reserve', 'gift_release', 'gift_receive', 'referral');
CREATE TYPE public.transaction_status AS ENUM ('pending', 'completed', 'failed', 'cancelled');
CREATE TYPE public.gift_code_type AS ENUM ('simple', 'personalized', 'split', 'first_come', 'riddle');
CREATE TYPE public.gift_code_status AS ENUM ('active', 'depleted', 'expired', 'cancelled', 'refunded');
CREATE TYPE public.gift_redemption_status AS ENUM ('success', 'failed_wrong_answer', 'failed_wrong_user', 'failed_depleted', 'failed_expired', 'failed_already_claimed');
CREATE TYPE public.subscription_status AS ENUM ('active', 'canceled', 'past_due', 'unpaid', 'trialing', 'incomplete', 'incomplete_expired', 'paused');
CREATE TYPE public.billing_interval AS ENUM ('month', 'year');

CREATE SCHEMA auth;
CREATE TABLE auth.users (
	id text PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, email_verified boolean NOT NULL DEFAULT false, image text,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
	role public.user_role NOT NULL DEFAULT 'user', deleted_at timestamptz
);
CREATE TABLE auth.sessions (
	id text PRIMARY KEY, expires_at timestamptz NOT NULL, token text NOT NULL UNIQUE,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), ip_address text, user_agent text,
	user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE, refresh_token text UNIQUE, refresh_token_expires_at timestamptz,
	device_id text, device_name text, last_activity_at timestamptz DEFAULT now(), revoked_at timestamptz, remember_me boolean DEFAULT false
);
CREATE TABLE auth.accounts (
	id text PRIMARY KEY, account_id text NOT NULL, provider_id text NOT NULL, user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	access_token text, refresh_token text, id_token text, access_token_expires_at timestamptz, refresh_token_expires_at timestamptz, scope text,
	password text, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.verification (
	id text PRIMARY KEY, identifier text NOT NULL, value text NOT NULL, expires_at timestamptz NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.jwks (
	id text PRIMARY KEY, public_key text NOT NULL, private_key text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.oauth_applications (
	id text PRIMARY KEY, name text NOT NULL, icon text, metadata text, client_id text NOT NULL UNIQUE, client_secret text NOT NULL,
	redirect_urls text NOT NULL, type text NOT NULL DEFAULT 'web', disabled boolean NOT NULL DEFAULT false, user_id text REFERENCES auth.users,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.oauth_consents (
	id text PRIMARY KEY, user_id text NOT NULL, client_id text NOT NULL, scopes text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.matrix_user_links (
	id text PRIMARY KEY, matrix_user_id text NOT NULL UNIQUE, user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	linked_at timestamptz NOT NULL DEFAULT now(), last_used_at timestamptz, email text
);
CREATE TABLE auth.user_settings (
	user_id text PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, global_settings jsonb NOT NULL, app_overrides jsonb NOT NULL DEFAULT '{}',
	device_settings jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.organizations (
	id text PRIMARY KEY, name text NOT NULL, slug text UNIQUE, logo text, metadata jsonb,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.members (
	id text PRIMARY KEY, organization_id text NOT NULL REFERENCES auth.organizations ON DELETE CASCADE, user_id text NOT NULL,
	role text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.invitations (
	id text PRIMARY KEY, organization_id text NOT NULL REFERENCES auth.organizations ON DELETE CASCADE, email text NOT NULL, role text NOT NULL,
	status text NOT NULL, expires_at timestamptz NOT NULL, inviter_id text, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE auth.api_keys (
	id text PRIMARY KEY, user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE, name text NOT NULL, key_prefix text NOT NULL,
	key_hash text NOT NULL, scopes jsonb NOT NULL DEFAULT '["stt","tts"]', rate_limit_requests int NOT NULL DEFAULT 60,
	rate_limit_window int NOT NULL DEFAULT 60, created_at timestamptz NOT NULL DEFAULT now(), last_used_at timestamptz, revoked_at timestamptz
);

CREATE SCHEMA credits;
CREATE TABLE credits.balances (
	user_id text PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, balance numeric NOT NULL DEFAULT 0, total_earned int NOT NULL DEFAULT 0,
	total_spent int NOT NULL DEFAULT 0, version int NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE credits.transactions (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE, type public.transaction_type NOT NULL,
	status public.transaction_status NOT NULL DEFAULT 'pending', amount numeric NOT NULL, balance_before int NOT NULL, balance_after int NOT NULL,
	app_id text NOT NULL, description text NOT NULL, metadata jsonb, idempotency_key text UNIQUE,
	created_at timestamptz NOT NULL DEFAULT now(), completed_at timestamptz
);
CREATE INDEX transactions_user_id_idx ON credits.transactions (user_id);
CREATE TABLE credits.packages (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, description text, credits int NOT NULL, price_euro_cents int NOT NULL,
	stripe_price_id text UNIQUE, active boolean NOT NULL DEFAULT true, sort_order int NOT NULL DEFAULT 0, metadata jsonb,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE credits.purchases (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE, package_id uuid REFERENCES credits.packages,
	credits int NOT NULL, price_euro_cents int NOT NULL, stripe_payment_intent_id text UNIQUE, stripe_customer_id text,
	status public.transaction_status NOT NULL DEFAULT 'pending', metadata jsonb, created_at timestamptz NOT NULL DEFAULT now(), completed_at timestamptz
);
CREATE TABLE credits.usage_stats (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE, app_id text NOT NULL,
	credits_used int NOT NULL, date timestamptz NOT NULL, metadata jsonb
);
CREATE TABLE credits.stripe_customers (
	user_id text PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, stripe_customer_id text NOT NULL UNIQUE, email text,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE SCHEMA gifts;
CREATE TABLE gifts.gift_codes (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text NOT NULL UNIQUE, short_url text, creator_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	total_credits int NOT NULL, credits_per_portion int NOT NULL, total_portions int NOT NULL DEFAULT 1, claimed_portions int NOT NULL DEFAULT 0,
	type public.gift_code_type NOT NULL DEFAULT 'simple', status public.gift_code_status NOT NULL DEFAULT 'active', target_email text, target_matrix_id text,
	riddle_question text, riddle_answer_hash text, message text, expires_at timestamptz, reservation_transaction_id uuid,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE gifts.gift_redemptions (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), gift_code_id uuid NOT NULL REFERENCES gifts.gift_codes ON DELETE CASCADE,
	redeemer_user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE, status public.gift_redemption_status NOT NULL, credits_received int NOT NULL DEFAULT 0,
	portion_number int, credit_transaction_id uuid, source_app_id text, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX gift_redemptions_gift_code_id_idx ON gifts.gift_redemptions (gift_code_id);

CREATE SCHEMA subscriptions;
CREATE TABLE subscriptions.plans (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, description text, monthly_credits int NOT NULL DEFAULT 0,
	price_monthly_euro_cents int NOT NULL DEFAULT 0, price_yearly_euro_cents int NOT NULL DEFAULT 0, stripe_price_id_monthly text, stripe_price_id_yearly text,
	stripe_product_id text, features jsonb DEFAULT '[]', max_team_members int, max_organizations int, is_default boolean NOT NULL DEFAULT false,
	is_enterprise boolean NOT NULL DEFAULT false, active boolean NOT NULL DEFAULT true, sort_order int NOT NULL DEFAULT 0, metadata jsonb,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE subscriptions.subscriptions (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE, plan_id uuid NOT NULL REFERENCES subscriptions.plans,
	stripe_subscription_id text UNIQUE, stripe_customer_id text, stripe_price_id text, status public.subscription_status NOT NULL DEFAULT 'active',
	billing_interval public.billing_interval NOT NULL DEFAULT 'month', current_period_start timestamptz, current_period_end timestamptz,
	cancel_at_period_end boolean NOT NULL DEFAULT false, canceled_at timestamptz, ended_at timestamptz, trial_start timestamptz, trial_end timestamptz,
	metadata jsonb, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE subscriptions.invoices (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	subscription_id uuid REFERENCES subscriptions.subscriptions, stripe_invoice_id text NOT NULL UNIQUE, stripe_customer_id text, number text,
	status text NOT NULL, amount_due_euro_cents int NOT NULL, amount_paid_euro_cents int NOT NULL DEFAULT 0, currency text NOT NULL DEFAULT 'eur',
	hosted_invoice_url text, invoice_pdf_url text, period_start timestamptz, period_end timestamptz, due_date timestamptz, paid_at timestamptz,
	metadata jsonb, created_at timestamptz NOT NULL DEFAULT now()
);
