-- Which functions of functions/ the database has, and what their files said.

CREATE TABLE mana.schema_functions (
	name       text COLLATE "C" PRIMARY KEY,
	checksum   bytea NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN mana.schema_functions.checksum IS 'SHA-256 of the file';
ALTER TABLE mana.schema_functions ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.schema_functions FORCE ROW LEVEL SECURITY;
CREATE POLICY schema_functions_owner ON mana.schema_functions
	TO mana_owner USING (current_user = 'mana_owner');
CREATE POLICY schema_functions_system ON mana.schema_functions
	FOR SELECT TO mana_system USING (current_user = 'mana_system');
GRANT SELECT ON mana.schema_functions TO mana_system;
