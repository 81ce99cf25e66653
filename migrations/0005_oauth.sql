-- The OIDC provider: relying parties, codes, tokens, consents.

CREATE TABLE auth.oauth_applications (
	id            text PRIMARY KEY,
	name          text NOT NULL,
	icon          text,
	metadata      text,
	client_id     text NOT NULL UNIQUE,
	client_secret text NOT NULL,
	redirect_urls text NOT NULL,
	type          text NOT NULL DEFAULT 'web',
	disabled      boolean NOT NULL DEFAULT false,
	user_id       text REFERENCES auth.users ON DELETE SET NULL,
	created_at    timestamptz NOT NULL DEFAULT now(),
	updated_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN auth.oauth_applications.redirect_urls IS 'separated by commas';
CREATE INDEX oauth_applications_user_id_idx ON auth.oauth_applications (user_id);
ALTER TABLE auth.oauth_applications ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.oauth_applications FORCE ROW LEVEL SECURITY;
CREATE POLICY oauth_applications_system ON auth.oauth_applications
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.oauth_applications TO mana_system;

CREATE TABLE auth.oauth_access_tokens (
	id                       text PRIMARY KEY,
	access_token             text NOT NULL UNIQUE,
	refresh_token            text UNIQUE,
	access_token_expires_at  timestamptz NOT NULL,
	refresh_token_expires_at timestamptz,
	client_id                text NOT NULL,
	user_id                  text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	scopes                   text NOT NULL,
	created_at               timestamptz NOT NULL DEFAULT now(),
	updated_at               timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN auth.oauth_access_tokens.scopes IS 'separated by blanks';
CREATE INDEX oauth_access_tokens_user_id_idx ON auth.oauth_access_tokens (user_id);
ALTER TABLE auth.oauth_access_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.oauth_access_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY oauth_access_tokens_system ON auth.oauth_access_tokens
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.oauth_access_tokens TO mana_system;

CREATE TABLE auth.oauth_authorization_codes (
	id                    text PRIMARY KEY,
	code                  text NOT NULL UNIQUE,
	client_id             text NOT NULL,
	user_id               text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	scopes                text NOT NULL,
	redirect_uri          text NOT NULL,
	code_challenge        text,
	code_challenge_method text,
	expires_at            timestamptz NOT NULL,
	created_at            timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX oauth_authorization_codes_user_id_idx ON auth.oauth_authorization_codes (user_id);
ALTER TABLE auth.oauth_authorization_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.oauth_authorization_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY oauth_authorization_codes_system ON auth.oauth_authorization_codes
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.oauth_authorization_codes TO mana_system;

CREATE TABLE auth.oauth_consents (
	id            text PRIMARY KEY,
	user_id       text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	client_id     text NOT NULL,
	scopes        text NOT NULL,
	consent_given boolean NOT NULL DEFAULT false,
	created_at    timestamptz NOT NULL DEFAULT now(),
	updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX oauth_consents_user_id_client_id_idx ON auth.oauth_consents (user_id, client_id);
ALTER TABLE auth.oauth_consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.oauth_consents FORCE ROW LEVEL SECURITY;
CREATE POLICY oauth_consents_system ON auth.oauth_consents
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.oauth_consents TO mana_system;
