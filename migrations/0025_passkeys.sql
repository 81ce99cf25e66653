-- Passkeys (WebAuthn level 3), and the challenges that were answered, so that each is answered once on all edges. Challenges
-- that are only asked for leave no row.

CREATE TABLE auth.passkeys (
	id            text COLLATE "C" PRIMARY KEY,
	user_id       text COLLATE "C" NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	credential_id bytea NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 1 AND 1023),
	public_key    bytea NOT NULL CHECK (length(public_key) BETWEEN 1 AND 2048),
	sign_count    bigint NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
	name          text COLLATE "C" NOT NULL CHECK (name <> ''),
	device_type   text COLLATE "C" NOT NULL CHECK (device_type IN ('singleDevice', 'multiDevice')),
	backed_up     boolean NOT NULL,
	transports    text[] COLLATE "C" NOT NULL DEFAULT '{}' CHECK (cardinality(transports) <= 8),
	aaguid        uuid NOT NULL,
	created_at    timestamptz NOT NULL DEFAULT now(),
	last_used_at  timestamptz,
	CHECK (NOT backed_up OR device_type = 'multiDevice')
);
COMMENT ON COLUMN auth.passkeys.public_key IS 'COSE_Key (RFC 9052)';
COMMENT ON COLUMN auth.passkeys.sign_count IS 'signatures the authenticator counted; stays 0 where it does not count';
COMMENT ON COLUMN auth.passkeys.device_type IS 'multiDevice: may be synced or copied (flag BE); never changes';
COMMENT ON COLUMN auth.passkeys.aaguid IS 'the model of the authenticator, as it says itself: nothing attests it; zero for none';
CREATE INDEX passkeys_user_id_idx ON auth.passkeys (user_id, created_at);
ALTER TABLE auth.passkeys ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.passkeys FORCE ROW LEVEL SECURITY;
CREATE POLICY passkeys_system ON auth.passkeys
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY passkeys_select ON auth.passkeys
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.passkeys TO mana_system;
GRANT SELECT ON auth.passkeys TO mana_user;

CREATE TABLE auth.passkey_challenges (
	digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
	expires_at timestamptz NOT NULL
);
COMMENT ON COLUMN auth.passkey_challenges.digest IS 'SHA-256 of a challenge that was answered';
COMMENT ON COLUMN auth.passkey_challenges.expires_at IS 'when the challenge ends by itself; the row is of use until then';
CREATE INDEX passkey_challenges_expires_at_idx ON auth.passkey_challenges (expires_at);
ALTER TABLE auth.passkey_challenges ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.passkey_challenges FORCE ROW LEVEL SECURITY;
CREATE POLICY passkey_challenges_system ON auth.passkey_challenges
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.passkey_challenges TO mana_system;
