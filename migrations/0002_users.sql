-- Users and what belongs to exactly one of them.

CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO mana_user, mana_system;

CREATE TYPE auth.user_role AS ENUM ('user', 'admin', 'service');
GRANT USAGE ON TYPE auth.user_role TO mana_user, mana_system;

CREATE TABLE auth.users (
	id             text PRIMARY KEY CHECK (id <> ''),
	name           text NOT NULL,
	email          text NOT NULL UNIQUE CHECK (email = lower(email)),
	email_verified boolean NOT NULL DEFAULT false,
	image          text,
	created_at     timestamptz NOT NULL DEFAULT now(),
	updated_at     timestamptz NOT NULL DEFAULT now(),
	role           auth.user_role NOT NULL DEFAULT 'user',
	disabled_at    timestamptz,
	deleted_at     timestamptz
);
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.users FORCE ROW LEVEL SECURITY;
CREATE POLICY users_system ON auth.users
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY users_select ON auth.users
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (id = mana.user_id() OR mana.is_admin()));
CREATE POLICY users_update ON auth.users
	FOR UPDATE TO mana_user
	USING (current_user = 'mana_user' AND id = mana.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.users TO mana_system;
GRANT SELECT, UPDATE (name, image, updated_at) ON auth.users TO mana_user;

-- How a user signs in; provider 'credential' holds the password hash.
CREATE TABLE auth.accounts (
	id                       text PRIMARY KEY,
	account_id               text NOT NULL,
	provider_id              text NOT NULL,
	user_id                  text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	access_token             text,
	refresh_token            text,
	id_token                 text,
	access_token_expires_at  timestamptz,
	refresh_token_expires_at timestamptz,
	scope                    text,
	password                 text,
	created_at               timestamptz NOT NULL DEFAULT now(),
	updated_at               timestamptz NOT NULL DEFAULT now(),
	UNIQUE (provider_id, account_id),
	UNIQUE (user_id, provider_id)
);
ALTER TABLE auth.accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY accounts_system ON auth.accounts
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.accounts TO mana_system;

-- Short-lived secrets: reset tokens, e-mail verification, OIDC codes.
CREATE TABLE auth.verification (
	id         text PRIMARY KEY,
	identifier text NOT NULL,
	value      text NOT NULL,
	expires_at timestamptz NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX verification_identifier_idx ON auth.verification (identifier);
CREATE INDEX verification_expires_at_idx ON auth.verification (expires_at);
ALTER TABLE auth.verification ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.verification FORCE ROW LEVEL SECURITY;
CREATE POLICY verification_system ON auth.verification
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.verification TO mana_system;

CREATE TABLE auth.passwords (
	user_id         text PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
	hashed_password text NOT NULL,
	created_at      timestamptz NOT NULL DEFAULT now(),
	updated_at      timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE auth.passwords ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.passwords FORCE ROW LEVEL SECURITY;
CREATE POLICY passwords_system ON auth.passwords
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.passwords TO mana_system;

CREATE TABLE auth.two_factor_auth (
	user_id      text PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
	secret       text NOT NULL,
	enabled      boolean NOT NULL DEFAULT false,
	backup_codes jsonb,
	created_at   timestamptz NOT NULL DEFAULT now(),
	enabled_at   timestamptz
);
ALTER TABLE auth.two_factor_auth ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.two_factor_auth FORCE ROW LEVEL SECURITY;
CREATE POLICY two_factor_auth_system ON auth.two_factor_auth
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.two_factor_auth TO mana_system;

-- What happened to an account. The event outlives the user, without his name.
CREATE TABLE auth.security_events (
	id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id    text REFERENCES auth.users ON DELETE SET NULL,
	event_type text NOT NULL,
	ip_address text,
	user_agent text,
	metadata   jsonb,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX security_events_user_id_created_at_idx ON auth.security_events (user_id, created_at);
ALTER TABLE auth.security_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.security_events FORCE ROW LEVEL SECURITY;
CREATE POLICY security_events_system ON auth.security_events
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY security_events_select ON auth.security_events
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.security_events TO mana_system;
GRANT SELECT ON auth.security_events TO mana_user;

CREATE TABLE auth.user_settings (
	user_id         text PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
	global_settings jsonb NOT NULL DEFAULT '{
		"nav": {"desktopPosition": "top", "sidebarCollapsed": false},
		"theme": {"mode": "system", "colorScheme": "ocean"},
		"locale": "de"
	}',
	app_overrides   jsonb NOT NULL DEFAULT '{}',
	device_settings jsonb NOT NULL DEFAULT '{}',
	created_at      timestamptz NOT NULL DEFAULT now(),
	updated_at      timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE auth.user_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.user_settings FORCE ROW LEVEL SECURITY;
CREATE POLICY user_settings_system ON auth.user_settings
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY user_settings_own ON auth.user_settings
	TO mana_user USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.user_settings TO mana_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.user_settings TO mana_user;
