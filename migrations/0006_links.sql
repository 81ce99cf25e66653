-- Other ways to act as a user: API keys and Matrix ids.

CREATE TABLE auth.api_keys (
	id                  text PRIMARY KEY,
	user_id             text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	name                text NOT NULL,
	key_prefix          text NOT NULL,
	key_hash            text NOT NULL UNIQUE,
	scopes              jsonb NOT NULL DEFAULT '["stt", "tts"]',
	rate_limit_requests int NOT NULL DEFAULT 60 CHECK (rate_limit_requests > 0),
	rate_limit_window   int NOT NULL DEFAULT 60 CHECK (rate_limit_window > 0),
	created_at          timestamptz NOT NULL DEFAULT now(),
	last_used_at        timestamptz,
	revoked_at          timestamptz
);
COMMENT ON COLUMN auth.api_keys.rate_limit_window IS 'seconds';
CREATE INDEX api_keys_user_id_idx ON auth.api_keys (user_id);
ALTER TABLE auth.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY api_keys_system ON auth.api_keys
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY api_keys_select ON auth.api_keys
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.api_keys TO mana_system;
GRANT SELECT ON auth.api_keys TO mana_user;

CREATE TABLE auth.matrix_user_links (
	id             text PRIMARY KEY,
	matrix_user_id text NOT NULL UNIQUE,
	user_id        text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	linked_at      timestamptz NOT NULL DEFAULT now(),
	last_used_at   timestamptz,
	email          text
);
CREATE INDEX matrix_user_links_user_id_idx ON auth.matrix_user_links (user_id);
ALTER TABLE auth.matrix_user_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.matrix_user_links FORCE ROW LEVEL SECURITY;
CREATE POLICY matrix_user_links_system ON auth.matrix_user_links
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY matrix_user_links_select ON auth.matrix_user_links
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.matrix_user_links TO mana_system;
GRANT SELECT ON auth.matrix_user_links TO mana_user;
