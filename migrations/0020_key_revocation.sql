-- A signing key that leaked: its private half is wiped and nothing it signed is taken.
ALTER TABLE auth.jwks ADD COLUMN revoked_at timestamptz;
