-- What somebody has been asked to prove: that a link or a code that was sent to an address came back. The token itself is
-- never stored. One table for every purpose.

CREATE TABLE auth.challenges (
	id          text COLLATE "C" PRIMARY KEY,
	purpose     text COLLATE "C" NOT NULL CHECK (purpose <> ''),
	digest      bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
	user_id     text COLLATE "C" NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	address     text COLLATE "C" NOT NULL,
	data        jsonb NOT NULL DEFAULT '{}',
	created_at  timestamptz NOT NULL DEFAULT now(),
	expires_at  timestamptz NOT NULL,
	consumed_at timestamptz
);
COMMENT ON COLUMN auth.challenges.digest IS 'SHA-256 of the token';
COMMENT ON COLUMN auth.challenges.address IS 'where the token was sent: it proves that address, and no other';
CREATE INDEX challenges_user_id_idx ON auth.challenges (user_id, purpose, created_at);
CREATE INDEX challenges_expires_at_idx ON auth.challenges (expires_at);
ALTER TABLE auth.challenges ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.challenges FORCE ROW LEVEL SECURITY;
CREATE POLICY challenges_system ON auth.challenges
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.challenges TO mana_system;
