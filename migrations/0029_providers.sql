-- Sign-in by others. A user may have several accounts of one provider, and one password. What a provider gives for later is
-- sealed; rows of the replaced service are read as they are, and sealed in passing.

ALTER TABLE auth.accounts DROP CONSTRAINT accounts_user_id_provider_id_key;
CREATE UNIQUE INDEX accounts_credential_key ON auth.accounts (user_id) WHERE provider_id = 'credential';
CREATE INDEX accounts_user_id_idx ON auth.accounts (user_id, created_at);
CREATE INDEX accounts_tokens_idx ON auth.accounts (id)
	WHERE access_token IS NOT NULL OR refresh_token IS NOT NULL OR id_token IS NOT NULL;
ALTER TABLE auth.accounts
	ADD COLUMN email text,
	ADD COLUMN role auth.user_role,
	ADD COLUMN last_used_at timestamptz;
COMMENT ON COLUMN auth.accounts.account_id IS 'of the user at the provider (sub), which stays the same';
COMMENT ON COLUMN auth.accounts.email IS 'what the provider said last; proves nothing';
COMMENT ON COLUMN auth.accounts.role IS 'that the provider gave last, where it has a say in it';
COMMENT ON COLUMN auth.accounts.access_token IS 'sealed, as refresh_token and id_token';

-- Sign-ins by a provider that are under way. Each is taken once; what the browser holds with it is not stored.
CREATE TABLE auth.provider_flows (
	digest      bytea PRIMARY KEY CHECK (length(digest) = 32),
	binding     bytea NOT NULL CHECK (length(binding) = 32),
	purpose     text COLLATE "C" NOT NULL CHECK (purpose IN ('sign_in', 'link', 'prove', 'address')),
	provider_id text COLLATE "C" NOT NULL CHECK (provider_id <> ''),
	user_id     text COLLATE "C" REFERENCES auth.users ON DELETE CASCADE,
	data        jsonb NOT NULL DEFAULT '{}',
	created_at  timestamptz NOT NULL DEFAULT now(),
	expires_at  timestamptz NOT NULL,
	CHECK ((user_id IS NOT NULL) = (purpose IN ('link', 'prove')))
);
COMMENT ON COLUMN auth.provider_flows.digest IS 'SHA-256 of the state parameter, or of what the page for an address sends back';
COMMENT ON COLUMN auth.provider_flows.binding IS 'SHA-256 of what the browser holds that began it';
CREATE INDEX provider_flows_user_id_idx ON auth.provider_flows (user_id);
CREATE INDEX provider_flows_expires_at_idx ON auth.provider_flows (expires_at);
ALTER TABLE auth.provider_flows ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.provider_flows FORCE ROW LEVEL SECURITY;
CREATE POLICY provider_flows_system ON auth.provider_flows
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.provider_flows TO mana_system;
