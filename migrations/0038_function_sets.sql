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

-- What a trigger calls is nobody's set: it stands here.
CREATE OR REPLACE FUNCTION credits.spend(p_account text, p_member text, p_key text, p_amount bigint, p_at timestamptz) RETURNS void
	LANGUAGE sql AS $$
	INSERT INTO credits.spending AS s (spender, account_id, day, amount)
	SELECT w.spender, p_account, (p_at AT TIME ZONE 'UTC')::date, p_amount
	FROM (
		SELECT k.spender FROM (SELECT 'key:' || a.id AS spender FROM auth.api_keys AS a WHERE a.id = p_key FOR KEY SHARE) AS k
		UNION ALL
		SELECT 'user:' || p_member WHERE p_member IS NOT NULL
	) AS w
	WHERE p_amount <> 0
	ON CONFLICT (spender, account_id, day) DO UPDATE SET amount = s.amount + excluded.amount;
$$;
COMMENT ON FUNCTION credits.spend IS 'adds to what a key and a member have spent of an account, which is locked, on the day of a charge; what comes back is less than zero';
REVOKE EXECUTE ON FUNCTION credits.spend FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.spend TO mana_system;
DELETE FROM mana.schema_functions WHERE name = 'credits.spend';

INSERT INTO mana.function_sets (schema)
SELECT 'credits' WHERE EXISTS (SELECT FROM mana.schema_functions);
