-- The OpenID provider: what clients may do, what a code stands for, device codes, sessions of clients, and whom to tell that
-- one has ended. What clients hold is stored as its SHA-256 alone.

ALTER TABLE auth.jwks ADD COLUMN algorithm text COLLATE "C" NOT NULL DEFAULT 'EdDSA' CHECK (algorithm IN ('EdDSA', 'RS256'));

ALTER TABLE auth.oauth_applications
	ADD COLUMN public                  boolean NOT NULL DEFAULT false,
	ADD COLUMN trusted                 boolean NOT NULL DEFAULT false,
	ADD COLUMN post_logout_redirects   text NOT NULL DEFAULT '',
	ADD COLUMN backchannel_logout_uri  text NOT NULL DEFAULT '',
	ADD COLUMN scopes                  text NOT NULL DEFAULT 'openid profile email offline_access',
	ADD COLUMN grant_types             text NOT NULL DEFAULT 'authorization_code refresh_token',
	ADD COLUMN id_token_alg            text COLLATE "C" NOT NULL DEFAULT 'EdDSA' CHECK (id_token_alg IN ('EdDSA', 'RS256')),
	ADD COLUMN access_token_format     text COLLATE "C" NOT NULL DEFAULT 'opaque' CHECK (access_token_format IN ('opaque', 'jwt')),
	ADD COLUMN audience                text NOT NULL DEFAULT '';
COMMENT ON COLUMN auth.oauth_applications.client_secret IS 'sha256:<hex> of the secret; empty for public clients';
COMMENT ON COLUMN auth.oauth_applications.post_logout_redirects IS 'separated by commas, as redirect_urls are';
COMMENT ON COLUMN auth.oauth_applications.scopes IS 'separated by blanks, as grant_types are';

SET LOCAL ROLE mana_system;
UPDATE auth.oauth_applications
SET client_secret = 'sha256:' || encode(sha256(convert_to(client_secret, 'UTF8')), 'hex')
WHERE client_secret <> '' AND client_secret NOT LIKE 'sha256:%';
UPDATE auth.oauth_applications SET public = true WHERE client_secret = '' OR type IN ('public', 'native', 'user-agent-based');
-- What the replaced service handed out is in clear and ends here: its clients ask once more.
DELETE FROM auth.oauth_access_tokens;
DELETE FROM auth.oauth_authorization_codes;
SET LOCAL ROLE mana_owner;

-- The session that a client holds for a user: derived from the browser session that the user allowed it in, with which it ends.
ALTER TABLE auth.sessions
	ADD COLUMN client_id text COLLATE "C",
	ADD COLUMN scopes    text COLLATE "C",
	DROP CONSTRAINT sessions_kind_check,
	ADD CONSTRAINT sessions_kind_check CHECK (kind IN ('app', 'browser', 'client')),
	ADD CONSTRAINT sessions_client_id_check CHECK ((client_id IS NOT NULL) = (kind = 'client'));
COMMENT ON COLUMN auth.sessions.client_id IS 'the OpenID client that holds it; none but that refreshes it';
CREATE INDEX sessions_client_id_idx ON auth.sessions (user_id, client_id) WHERE client_id IS NOT NULL;
GRANT SELECT (client_id, scopes) ON auth.sessions TO mana_user;

ALTER TABLE auth.refresh_families ADD COLUMN client_id text COLLATE "C";

ALTER TABLE auth.oauth_authorization_codes
	ADD COLUMN session_id   text COLLATE "C" NOT NULL REFERENCES auth.sessions ON DELETE CASCADE,
	ADD COLUMN nonce        text,
	ADD COLUMN consumed_at  timestamptz,
	ADD COLUMN gave_session text;
COMMENT ON COLUMN auth.oauth_authorization_codes.session_id IS 'the browser session that it was given in';
COMMENT ON COLUMN auth.oauth_authorization_codes.gave_session IS 'the client''s, which ends if the code is used again';
CREATE INDEX oauth_authorization_codes_expires_at_idx ON auth.oauth_authorization_codes (expires_at);
CREATE INDEX oauth_authorization_codes_session_id_idx ON auth.oauth_authorization_codes (session_id);

ALTER TABLE auth.oauth_access_tokens
	ALTER COLUMN user_id DROP NOT NULL,
	ADD COLUMN session_id text COLLATE "C" REFERENCES auth.sessions ON DELETE CASCADE,
	ADD COLUMN audience   text NOT NULL DEFAULT '';
COMMENT ON COLUMN auth.oauth_access_tokens.user_id IS 'none where the client acts for itself';
CREATE INDEX oauth_access_tokens_session_id_idx ON auth.oauth_access_tokens (session_id);
CREATE INDEX oauth_access_tokens_expires_at_idx ON auth.oauth_access_tokens (access_token_expires_at);

DROP INDEX auth.oauth_consents_user_id_client_id_idx;
SET LOCAL ROLE mana_system;
DELETE FROM auth.oauth_consents AS c
WHERE NOT c.consent_given OR EXISTS (
	SELECT FROM auth.oauth_consents AS newer
	WHERE newer.user_id = c.user_id AND newer.client_id = c.client_id AND newer.consent_given AND (newer.updated_at, newer.id) > (c.updated_at, c.id));
SET LOCAL ROLE mana_owner;
CREATE UNIQUE INDEX oauth_consents_user_id_client_id_key ON auth.oauth_consents (user_id, client_id);

-- A device that cannot show a page asks, and somebody allows it elsewhere (RFC 8628).
CREATE TABLE auth.oauth_device_codes (
	id               text COLLATE "C" PRIMARY KEY,
	device_digest    text COLLATE "C" NOT NULL UNIQUE,
	user_code_digest text COLLATE "C" NOT NULL UNIQUE,
	client_id        text COLLATE "C" NOT NULL,
	scopes           text NOT NULL,
	interval_seconds int NOT NULL CHECK (interval_seconds > 0),
	polled_at        timestamptz,
	user_id          text COLLATE "C" REFERENCES auth.users ON DELETE CASCADE,
	session_id       text COLLATE "C" REFERENCES auth.sessions ON DELETE CASCADE,
	denied           boolean NOT NULL DEFAULT false,
	consumed_at      timestamptz,
	created_at       timestamptz NOT NULL DEFAULT now(),
	expires_at       timestamptz NOT NULL
);
COMMENT ON COLUMN auth.oauth_device_codes.user_id IS 'who decided, none while nobody has';
CREATE INDEX oauth_device_codes_user_id_idx ON auth.oauth_device_codes (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX oauth_device_codes_session_id_idx ON auth.oauth_device_codes (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX oauth_device_codes_expires_at_idx ON auth.oauth_device_codes (expires_at);
ALTER TABLE auth.oauth_device_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.oauth_device_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY oauth_device_codes_system ON auth.oauth_device_codes
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.oauth_device_codes TO mana_system;

-- Sessions of clients that have ended, whatever ended them, until the outbox has them: each client is told that wants to be.
CREATE TABLE auth.oauth_logouts (
	session_id text COLLATE "C" PRIMARY KEY,
	client_id  text COLLATE "C" NOT NULL,
	user_id    text COLLATE "C" NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX oauth_logouts_user_id_idx ON auth.oauth_logouts (user_id);
ALTER TABLE auth.oauth_logouts ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.oauth_logouts FORCE ROW LEVEL SECURITY;
CREATE POLICY oauth_logouts_system ON auth.oauth_logouts
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.oauth_logouts TO mana_system;

CREATE FUNCTION auth.note_client_logout() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	INSERT INTO auth.oauth_logouts (session_id, client_id, user_id)
	VALUES (NEW.id, NEW.client_id, NEW.user_id)
	ON CONFLICT DO NOTHING;
	RETURN NULL;
END
$$;
CREATE TRIGGER sessions_note_client_logout AFTER UPDATE OF revoked_at ON auth.sessions
	FOR EACH ROW WHEN (NEW.client_id IS NOT NULL AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
	EXECUTE FUNCTION auth.note_client_logout();
