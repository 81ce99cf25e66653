-- Wrong tries at passwords, by a digest of the account's address, or of that and a device that signed in before. They count
-- for all edges together and survive restarts.

CREATE TABLE auth.lockouts (
	subject      text COLLATE "C" PRIMARY KEY,
	tries        int NOT NULL DEFAULT 1 CHECK (tries > 0),
	since        timestamptz NOT NULL DEFAULT now(),
	last_try_at  timestamptz NOT NULL DEFAULT now(),
	locks        int NOT NULL DEFAULT 0 CHECK (locks >= 0),
	locked_at    timestamptz,
	locked_until timestamptz,
	CHECK ((locked_at IS NULL) = (locked_until IS NULL))
);
COMMENT ON COLUMN auth.lockouts.since IS 'when the tries that count began';
COMMENT ON COLUMN auth.lockouts.locks IS 'how often it was locked, one after the other: each lock is twice as long as the last';
CREATE INDEX lockouts_last_try_at_idx ON auth.lockouts (last_try_at);
ALTER TABLE auth.lockouts ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.lockouts FORCE ROW LEVEL SECURITY;
CREATE POLICY lockouts_system ON auth.lockouts
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.lockouts TO mana_system;
