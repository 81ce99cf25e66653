-- When and how the person behind a session last proved who they are, and what their second factor needs to be taken once.

ALTER TABLE auth.sessions
	ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN amr text COLLATE "C" NOT NULL DEFAULT '';
COMMENT ON COLUMN auth.sessions.authenticated_at IS 'of a session derived from another: when that one was authenticated';
COMMENT ON COLUMN auth.sessions.amr IS 'authentication methods (RFC 8176), joined by commas';

-- Sessions that are there were all begun with a password.
UPDATE auth.sessions AS s
SET amr = 'pwd', authenticated_at = COALESCE((SELECT p.created_at FROM auth.sessions AS p WHERE p.id = s.parent_id), s.created_at);
GRANT SELECT (authenticated_at, amr) ON auth.sessions TO mana_user;

ALTER TABLE auth.two_factor_auth
	ADD COLUMN last_step bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN auth.two_factor_auth.secret IS 'of TOTP (RFC 6238), sealed';
COMMENT ON COLUMN auth.two_factor_auth.last_step IS 'the time step of the last code that was taken: none is taken twice';
COMMENT ON COLUMN auth.two_factor_auth.backup_codes IS 'digests of the codes that are left';

ALTER TABLE auth.challenges
	ADD COLUMN attempts integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN auth.challenges.attempts IS 'wrong codes that were tried';
