-- A set of functions for each binary (functions/), in a schema of its own, so that an edge goes on with its functions while
-- a newer one beside it brings others. What stands in schema credits is of binaries that knew no sets; it goes like a set
-- that nobody has used for a week.

CREATE TABLE mana.function_sets (
	schema  text COLLATE "C" PRIMARY KEY,
	made_at timestamptz NOT NULL DEFAULT now(),
	used_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN mana.function_sets.used_at IS 'when an edge last said that it uses the set';
ALTER TABLE mana.function_sets ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.function_sets FORCE ROW LEVEL SECURITY;
CREATE POLICY function_sets_owner ON mana.function_sets
	TO mana_owner USING (current_user = 'mana_owner');
CREATE POLICY function_sets_system ON mana.function_sets
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, UPDATE (used_at) ON mana.function_sets TO mana_system;

INSERT INTO mana.function_sets (schema)
SELECT 'credits' WHERE EXISTS (SELECT FROM mana.schema_functions);
