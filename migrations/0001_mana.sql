-- Schema mana: which migrations ran, and who the current transaction acts for.

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;

CREATE SCHEMA mana;
GRANT USAGE ON SCHEMA mana TO mana_user, mana_system;

-- The user a transaction of mana_user acts for; NULL where none is set.
CREATE FUNCTION mana.user_id() RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN nullif(current_setting('mana.user_id', true), '');
GRANT EXECUTE ON FUNCTION mana.user_id() TO mana_user, mana_system;

-- Whether that user is a platform admin.
CREATE FUNCTION mana.is_admin() RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce(current_setting('mana.role', true) = 'admin', false) AND mana.user_id() IS NOT NULL;
GRANT EXECUTE ON FUNCTION mana.is_admin() TO mana_user, mana_system;

CREATE TABLE mana.schema_migrations (
	version    int PRIMARY KEY CHECK (version > 0),
	name       text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE mana.schema_migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.schema_migrations FORCE ROW LEVEL SECURITY;
CREATE POLICY schema_migrations_owner ON mana.schema_migrations
	TO mana_owner USING (current_user = 'mana_owner');
CREATE POLICY schema_migrations_system ON mana.schema_migrations
	FOR SELECT TO mana_system USING (current_user = 'mana_system');
GRANT SELECT ON mana.schema_migrations TO mana_system;
