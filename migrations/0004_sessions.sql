-- Sessions, refresh families, revocations and signing keys.

CREATE TABLE auth.sessions (
	id                       text PRIMARY KEY,
	expires_at               timestamptz NOT NULL,
	token                    text NOT NULL UNIQUE,
	created_at               timestamptz NOT NULL DEFAULT now(),
	updated_at               timestamptz NOT NULL DEFAULT now(),
	ip_address               text,
	user_agent               text,
	user_id                  text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	refresh_token            text UNIQUE,
	refresh_token_expires_at timestamptz,
	device_id                text,
	device_name              text,
	last_activity_at         timestamptz NOT NULL DEFAULT now(),
	revoked_at               timestamptz,
	remember_me              boolean NOT NULL DEFAULT false,
	kind                     text NOT NULL DEFAULT 'app' CHECK (kind IN ('app', 'browser')),
	parent_id                text REFERENCES auth.sessions ON DELETE CASCADE,
	active_organization_id   text REFERENCES auth.organizations ON DELETE SET NULL,
	persistent               boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN auth.sessions.token IS 'sha256:<hex> of the cookie token; rows of the replaced service hold it in clear';
COMMENT ON COLUMN auth.sessions.refresh_token IS 'rows of the replaced service only; see auth.refresh_families';
CREATE INDEX sessions_user_id_idx ON auth.sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON auth.sessions (expires_at);
CREATE INDEX sessions_parent_id_idx ON auth.sessions (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX sessions_active_organization_id_idx ON auth.sessions (active_organization_id)
	WHERE active_organization_id IS NOT NULL;
ALTER TABLE auth.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY sessions_system ON auth.sessions
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY sessions_select ON auth.sessions
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
CREATE POLICY sessions_delete ON auth.sessions
	FOR DELETE TO mana_user
	USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.sessions TO mana_system;
-- All columns but refresh_token, which imported rows hold in clear.
GRANT DELETE, SELECT (id, expires_at, token, created_at, updated_at, ip_address, user_agent, user_id,
	refresh_token_expires_at, device_id, device_name, last_activity_at, revoked_at, remember_me,
	kind, parent_id, active_organization_id, persistent) ON auth.sessions TO mana_user;

-- One family per sign-in: its tokens are derived from id and counter, under a key the database does not hold.
CREATE TABLE auth.refresh_families (
	id             text PRIMARY KEY,
	session_id     text NOT NULL UNIQUE REFERENCES auth.sessions ON DELETE CASCADE,
	user_id        text NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	counter        bigint NOT NULL DEFAULT 0 CHECK (counter >= 0),
	rotated_at     timestamptz,
	created_at     timestamptz NOT NULL DEFAULT now(),
	expires_at     timestamptz NOT NULL,
	revoked_at     timestamptz,
	revoked_reason text
);
CREATE INDEX refresh_families_user_id_idx ON auth.refresh_families (user_id);
CREATE INDEX refresh_families_expires_at_idx ON auth.refresh_families (expires_at);
ALTER TABLE auth.refresh_families ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.refresh_families FORCE ROW LEVEL SECURITY;
CREATE POLICY refresh_families_system ON auth.refresh_families
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.refresh_families TO mana_system;

-- Cut-offs: what was issued for the session (NULL: for the user) before
-- created_at is void. No foreign key, so that it outlives both.
CREATE TABLE auth.revocations (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id    text NOT NULL,
	session_id text,
	reason     text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX revocations_created_at_idx ON auth.revocations (created_at);
ALTER TABLE auth.revocations ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.revocations FORCE ROW LEVEL SECURITY;
CREATE POLICY revocations_system ON auth.revocations
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.revocations TO mana_system;

-- Tells every edge: {"id", "userId", "sessionId" or null, "reason", "at" in ms}.
CREATE FUNCTION auth.notify_revocation() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('mana_revocations', pg_catalog.json_build_object(
		'id', NEW.id,
		'userId', NEW.user_id,
		'sessionId', NEW.session_id,
		'reason', NEW.reason,
		'at', floor(extract(epoch FROM NEW.created_at) * 1000)::bigint)::text);
	RETURN NULL;
END
$$;
CREATE TRIGGER revocations_notify AFTER INSERT ON auth.revocations
	FOR EACH ROW EXECUTE FUNCTION auth.notify_revocation();

-- Signing keys; the private half is encrypted.
CREATE TABLE auth.jwks (
	id          text PRIMARY KEY,
	public_key  text NOT NULL,
	private_key text NOT NULL,
	created_at  timestamptz NOT NULL DEFAULT now(),
	signs_from  timestamptz,
	gone_at     timestamptz
);
ALTER TABLE auth.jwks ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.jwks FORCE ROW LEVEL SECURITY;
CREATE POLICY jwks_system ON auth.jwks
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.jwks TO mana_system;

CREATE FUNCTION auth.notify_keys() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('mana_keys', '');
	RETURN NULL;
END
$$;
CREATE TRIGGER jwks_notify AFTER INSERT OR UPDATE OR DELETE ON auth.jwks
	FOR EACH STATEMENT EXECUTE FUNCTION auth.notify_keys();
