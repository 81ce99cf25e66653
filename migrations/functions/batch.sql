-- batch carries out what came together for many accounts, each item with an outcome of its own: settlements, releases,
-- compensations and extensions of what runs first, then debits, then holds. Items of one account stand together, accounts in ascending order of
-- their bytes: every batch locks in the same order. An account that somebody else has locked is passed over, its items
-- are 'locked'; with p_wait the lock is waited for, for a second.
CREATE FUNCTION fn.batch(p_wait boolean, p_kinds text[], p_users text[], p_ids text[], p_targets text[], p_types text[],
	p_amounts bigint[], p_apps text[], p_operations text[], p_descriptions text[], p_metadata text[], p_keys text[],
	p_fingerprints bytea[], p_ttls interval[], p_edges text[], p_bodies bytea[], p_api_keys text[], p_spenders text[])
	RETURNS TABLE (item int, outcome text, entry_id text, entry_sequence bigint, balance_before bigint, at timestamptz,
		charged bigint, hold_id text, settled_amount bigint, app_id text, operation text, description text, metadata jsonb, body bytea,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz, credits_left bigint)
	-- Every statement looks rows up by their keys, whatever PostgreSQL believes to know of its tables at the moment, and is
	-- planned once a session: to plan those of a batch of few items takes as long as all else.
	LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
	SET jit = off AS $$
DECLARE
	n      CONSTANT int := cardinality(p_users);
	mine   text[]; -- the accounts that are locked by us
	chosen int[];  -- the items of one kind
	debits int[];
	o      record;
BEGIN
	IF p_wait THEN
		PERFORM set_config('lock_timeout', '1s', true);
		SELECT array_agg(l.user_id) INTO mine FROM (
			SELECT b.user_id FROM credits.balances AS b
			WHERE b.user_id = ANY (p_users) ORDER BY b.user_id COLLATE "C" FOR UPDATE) AS l;
	ELSE
		SELECT array_agg(l.user_id) INTO mine FROM (
			SELECT b.user_id FROM credits.balances AS b
			WHERE b.user_id = ANY (p_users) ORDER BY b.user_id COLLATE "C" FOR UPDATE SKIP LOCKED) AS l;
		IF cardinality(mine) IS DISTINCT FROM (SELECT count(DISTINCT u.id) FROM unnest(p_users) AS u (id)) THEN
			FOR i IN 1 .. n LOOP
				IF p_users[i] = ANY (mine) IS NOT TRUE AND EXISTS (SELECT FROM credits.balances AS b WHERE b.user_id = p_users[i]) THEN
					item := i; outcome := 'locked';
					balance := 0; held := 0; debt := 0; total_earned := 0; total_spent := 0; version := 0; created_at := now(); updated_at := now();
					RETURN NEXT;
					p_kinds[i] := 'locked';
				END IF;
			END LOOP;
		END IF;
	END IF;
	IF array_remove(p_api_keys, NULL) <> '{}' THEN -- such of an organisation spend of two accounts
		PERFORM FROM auth.api_keys AS k WHERE k.id = ANY (p_api_keys) AND k.organization_id IS NOT NULL ORDER BY k.id COLLATE "C" FOR NO KEY UPDATE;
	END IF;
	SELECT array_agg(k.i ORDER BY k.i) INTO chosen FROM unnest(p_kinds) WITH ORDINALITY AS k (kind, i) WHERE k.kind = 'settle';
	IF chosen IS NOT NULL THEN
		FOR item, outcome, entry_id, entry_sequence, balance_before, at, charged, app_id, operation, description, metadata, body,
			balance, held, debt, total_earned, total_spent, version, created_at, updated_at IN
			SELECT * FROM fn.settle_open(chosen, p_users, p_targets, p_ids, p_amounts, p_metadata, p_bodies)
		LOOP
			RETURN NEXT;
			p_kinds[item] := 'done';
		END LOOP;
	END IF;
	SELECT array_agg(k.i ORDER BY k.i) INTO chosen FROM unnest(p_kinds) WITH ORDINALITY AS k (kind, i) WHERE k.kind = 'compensate';
	IF chosen IS NOT NULL THEN
		entry_sequence := NULL; balance_before := NULL; at := NULL; charged := NULL;
		app_id := NULL; operation := NULL; description := NULL; metadata := NULL; body := NULL;
		FOR item, outcome, entry_id, balance, held, debt, total_earned, total_spent, version, created_at, updated_at IN
			SELECT * FROM fn.compensate_new(chosen, p_users, p_ids, p_targets)
		LOOP
			RETURN NEXT;
			p_kinds[item] := 'done';
		END LOOP;
	END IF;
	FOR i IN 1 .. n LOOP
		item := i;
		entry_id := NULL; entry_sequence := NULL; balance_before := NULL; at := NULL; charged := NULL; hold_id := NULL;
		settled_amount := NULL; app_id := NULL; operation := NULL; description := NULL; metadata := NULL; body := NULL;
		CASE p_kinds[i]
		WHEN 'settle' THEN
			SELECT * INTO o FROM fn.settle(p_targets[i], p_ids[i], p_amounts[i], p_metadata[i], p_bodies[i]);
			IF FOUND THEN
				entry_id := o.entry_id; entry_sequence := o.entry_sequence; balance_before := o.balance_before; at := o.at;
				charged := o.charged; app_id := o.app_id; operation := o.operation; description := o.description; metadata := o.metadata;
				body := o.body;
			END IF;
		WHEN 'release' THEN
			SELECT * INTO o FROM fn.release(p_targets[i]);
		WHEN 'compensate' THEN
			SELECT * INTO o FROM fn.compensate(p_users[i], p_ids[i], p_targets[i]);
			entry_id := o.entry_id;
		WHEN 'extend' THEN
			SELECT * INTO o FROM fn.extend(p_targets[i], p_amounts[i]);
			IF FOUND THEN
				credits_left := o.credits_left;
			END IF;
		ELSE
			CONTINUE;
		END CASE;
		outcome := coalesce(o.outcome, 'no_hold');
		balance := coalesce(o.balance, 0); held := coalesce(o.held, 0); debt := coalesce(o.debt, 0); total_earned := coalesce(o.total_earned, 0);
		total_spent := coalesce(o.total_spent, 0); version := coalesce(o.version, 0);
		created_at := coalesce(o.created_at, now()); updated_at := coalesce(o.updated_at, now());
		RETURN NEXT;
		credits_left := NULL;
	END LOOP;
	SELECT array_agg(k.i ORDER BY k.i) INTO debits FROM unnest(p_kinds) WITH ORDINALITY AS k (kind, i) WHERE k.kind = 'debit';
	IF cardinality(debits) = n THEN
		RETURN QUERY
		SELECT d.item, d.outcome, d.entry_id, d.entry_sequence, d.balance_before, d.at, NULL::bigint, NULL::text, NULL::bigint,
		       NULL::text, NULL::text, NULL::text, NULL::jsonb, NULL::bytea,
		       d.balance, d.held, d.debt, d.total_earned, d.total_spent, d.version, d.created_at, d.updated_at, d.credits_left
		FROM fn.debit(p_users, p_ids, p_types, p_amounts, p_apps, p_operations, p_descriptions, p_metadata, p_keys,
			p_fingerprints, p_edges, p_api_keys, p_spenders) AS d;
		RETURN;
	ELSIF debits IS NOT NULL THEN
		RETURN QUERY
		SELECT debits[d.item], d.outcome, d.entry_id, d.entry_sequence, d.balance_before, d.at, NULL::bigint, NULL::text, NULL::bigint,
		       NULL::text, NULL::text, NULL::text, NULL::jsonb, NULL::bytea,
		       d.balance, d.held, d.debt, d.total_earned, d.total_spent, d.version, d.created_at, d.updated_at, d.credits_left
		FROM (
			SELECT array_agg(p_users[i] ORDER BY i) AS users, array_agg(p_ids[i] ORDER BY i) AS ids, array_agg(p_types[i] ORDER BY i) AS types,
			       array_agg(p_amounts[i] ORDER BY i) AS amounts, array_agg(p_apps[i] ORDER BY i) AS apps,
			       array_agg(p_operations[i] ORDER BY i) AS operations, array_agg(p_descriptions[i] ORDER BY i) AS descriptions,
			       array_agg(p_metadata[i] ORDER BY i) AS metadata, array_agg(p_keys[i] ORDER BY i) AS keys,
			       array_agg(p_fingerprints[i] ORDER BY i) AS fingerprints, array_agg(p_edges[i] ORDER BY i) AS edges,
			       array_agg(p_api_keys[i] ORDER BY i) AS api_keys, array_agg(p_spenders[i] ORDER BY i) AS spenders
			FROM unnest(debits) AS i
		) AS a, fn.debit(a.users, a.ids, a.types, a.amounts, a.apps, a.operations, a.descriptions, a.metadata, a.keys,
			a.fingerprints, a.edges, a.api_keys, a.spenders) AS d;
	END IF;
	SELECT array_agg(k.i ORDER BY k.i) INTO chosen FROM unnest(p_kinds) WITH ORDINALITY AS k (kind, i) WHERE k.kind = 'hold';
	IF chosen IS NULL THEN
		RETURN;
	END IF;
	entry_id := NULL; entry_sequence := NULL; balance_before := NULL; at := NULL; charged := NULL; settled_amount := NULL;
	app_id := NULL; operation := NULL; description := NULL; metadata := NULL; body := NULL;
	FOR item, outcome, hold_id, balance, held, debt, total_earned, total_spent, version, created_at, updated_at IN
		SELECT * FROM fn.hold_new(chosen, p_users, p_ids, p_amounts, p_apps, p_operations, p_descriptions, p_metadata, p_keys, p_fingerprints, p_ttls,
			p_api_keys)
	LOOP
		RETURN NEXT;
		p_kinds[item] := 'done';
	END LOOP;
	FOREACH item IN ARRAY chosen LOOP
		CONTINUE WHEN p_kinds[item] = 'done';
		SELECT * INTO o FROM fn.hold(p_users[item], p_ids[item], p_amounts[item], p_apps[item], p_operations[item], p_descriptions[item],
			p_metadata[item], p_keys[item], p_fingerprints[item], p_ttls[item], p_api_keys[item], p_spenders[item]);
		outcome := o.outcome; hold_id := o.hold_id; settled_amount := o.settled_amount; body := o.body; credits_left := o.credits_left;
		balance := o.balance; held := o.held; debt := o.debt; total_earned := o.total_earned; total_spent := o.total_spent;
		version := o.version; created_at := o.created_at; updated_at := o.updated_at;
		RETURN NEXT;
	END LOOP;
END $$;
