-- Keys are bytes: ids, addresses, codes and every other text that an index
-- holds are compared under COLLATE "C". Under a collation of libc or ICU an
-- upgrade of that library changes the order of existing rows, and a unique
-- index silently takes what it holds already.
--
-- PostgreSQL changes no column that a policy, a view or a trigger names, so
-- those are taken away and made again as they were. Only indexes are rebuilt,
-- no table is rewritten.

-- Nothing looks subscriptions up by their status, which a generated column reads
-- and which can therefore not be changed.
DROP INDEX subscriptions.subscriptions_status_idx;

DO $$
DECLARE
	schemas CONSTANT text[] := ARRAY['auth', 'credits', 'gifts', 'mana', 'subscriptions'];
	restore text[] := '{}';
	statement text;
	found record;
BEGIN
	FOR found IN
		SELECT format('%I.%I', schemaname, tablename) AS relation, policyname, permissive, cmd, qual, with_check,
		       array_to_string(ARRAY(SELECT CASE r WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(r) END FROM unnest(roles) r), ', ') AS actors
		FROM pg_policies
		WHERE schemaname = ANY (schemas)
	LOOP
		restore := restore || (format('CREATE POLICY %I ON %s AS %s FOR %s TO %s',
			found.policyname, found.relation, found.permissive, found.cmd, found.actors)
			|| coalesce(' USING (' || found.qual || ')', '')
			|| coalesce(' WITH CHECK (' || found.with_check || ')', ''));
		EXECUTE format('DROP POLICY %I ON %s', found.policyname, found.relation);
	END LOOP;

	FOR found IN
		SELECT t.tgname, t.tgrelid::regclass AS relation, pg_get_triggerdef(t.oid) AS definition
		FROM pg_trigger t
		JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace::regnamespace::text = ANY (schemas) AND NOT t.tgisinternal
		  AND (t.tgattr <> '' OR t.tgqual IS NOT NULL)
	LOOP
		restore := restore || found.definition;
		EXECUTE format('DROP TRIGGER %I ON %s', found.tgname, found.relation);
	END LOOP;

	DROP VIEW auth.my_memberships;

	FOR found IN
		SELECT a.attrelid::regclass AS relation,
		       string_agg(format('ALTER COLUMN %I TYPE %s COLLATE "C"', a.attname, format_type(a.atttypid, a.atttypmod)), ', ') AS changes
		FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace::regnamespace::text = ANY (schemas) AND c.relkind IN ('r', 'p')
		  AND a.attnum > 0 AND NOT a.attisdropped AND a.attcollation NOT IN (0, '"C"'::regcollation)
		  AND (a.attname ~ '(^|_)id$'
			OR EXISTS (SELECT FROM pg_index i
				WHERE i.indrelid = a.attrelid AND (a.attnum = ANY (i.indkey)
				   OR i.indexprs IS NOT NULL AND EXISTS (SELECT FROM pg_depend d
					WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
					  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)))
			OR EXISTS (SELECT FROM pg_constraint k
				WHERE k.contype = 'f' AND (k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey)
				   OR k.confrelid = a.attrelid AND a.attnum = ANY (k.confkey))))
		GROUP BY a.attrelid
	LOOP
		EXECUTE format('ALTER TABLE %s %s', found.relation, found.changes);
	END LOOP;

	CREATE VIEW auth.my_memberships WITH (security_barrier) AS
		SELECT organization_id, role
		FROM auth.members
		WHERE user_id = mana.user_id();
	GRANT SELECT ON auth.my_memberships TO mana_user;

	FOREACH statement IN ARRAY restore LOOP
		EXECUTE statement;
	END LOOP;
END
$$;
