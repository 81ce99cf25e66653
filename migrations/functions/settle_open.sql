-- settle_open charges those of a batch's holds that are plain: open, of an account that owes nothing and has nothing to
-- expire. The others have no row here and are for fn.settle. p_items are the positions of the
-- settlements in the other arrays, in ascending order of the bytes of their accounts, which the caller has locked. What is
-- booked goes into the tables in one statement each, as in fn.debit.
CREATE FUNCTION fn.settle_open(p_items int[], p_users text[], p_holds text[], p_entries text[], p_amounts bigint[], p_metadata text[], p_bodies bytea[])
	RETURNS TABLE (item int, outcome text, entry_id text, entry_sequence bigint, balance_before bigint, at timestamptz,
		charged bigint, app_id text, operation text, description text, metadata jsonb, body bytea,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	accounts  credits.balances[];
	account   credits.balances;
	a         int := 1;  -- the next of accounts
	holds     credits.holds[];
	h         credits.holds;
	last_user text;
	seen      text[] := '{}';   -- the holds that are settled here
	settled   int[] := '{}';    -- the items to book, with
	charges   bigint[] := '{}'; -- what each comes to,
	frees     bigint[] := '{}'; -- what it had reserved,
	sequences bigint[] := '{}'; -- its number
	befores   bigint[] := '{}'; -- the balance before it
	hashes    bytea[] := '{}';  -- and its hash
	tail      bytea;            -- the last hash of account
	i         int;
BEGIN
	SELECT array_agg(l) INTO accounts FROM (
		SELECT * FROM credits.balances AS b
		WHERE b.user_id = ANY (SELECT p_users[k.i] FROM unnest(p_items) AS k (i)) ORDER BY b.user_id COLLATE "C" FOR UPDATE) AS l;
	SELECT array_agg(o ORDER BY k.n) INTO holds
	FROM unnest(p_items) WITH ORDINALITY AS k (i, n) LEFT JOIN credits.holds AS o ON o.id = p_holds[k.i];
	at := clock_timestamp();
	FOR n IN 1 .. cardinality(p_items) LOOP
		i := p_items[n];
		IF p_users[i] IS DISTINCT FROM last_user THEN
			last_user := p_users[i];
			account := accounts[a];
			IF account.user_id = last_user THEN
				a := a + 1;
				tail := account.chain_hash;
				IF account.chain_sequence IS DISTINCT FROM account.sequence THEN
					tail := credits.chain_tail(last_user, account.sequence);
				END IF;
			ELSE
				account := NULL;
			END IF;
		END IF;
		h := holds[n];
		CONTINUE WHEN account.user_id IS NULL OR account.debt > 0 OR account.next_expiry <= at
			OR h.state IS DISTINCT FROM 'open' OR h.user_id <> p_users[i]
			OR h.id = ANY (seen);
		seen := seen || h.id;
		item := i; outcome := 'settled'; charged := least(p_amounts[i], h.amount);
		entry_id := NULL; entry_sequence := NULL; balance_before := NULL;
		app_id := h.app_id; operation := h.operation; description := h.description; metadata := h.metadata;
		IF p_metadata[i] IS NOT NULL THEN
			metadata := coalesce(metadata, '{}') || p_metadata[i]::jsonb;
		END IF;
		body := coalesce(h.body, p_bodies[i]);
		settled := settled || i; charges := charges || charged; frees := frees || h.amount; befores := befores || account.balance;
		IF charged > 0 THEN
			account.sequence := account.sequence + 1;
			entry_id := p_entries[i]; entry_sequence := account.sequence; balance_before := account.balance;
			tail := credits.chained(tail, last_user, account.sequence, entry_id, 'usage', 'completed', -charged, account.balance,
				account.balance - charged, app_id, operation, description, metadata, NULL, NULL, NULL, h.id, h.api_key_id, h.spent_by, at, at);
		END IF;
		sequences := sequences || account.sequence; hashes := hashes || tail;
		account.balance := account.balance - charged;
		account.total_spent := account.total_spent + charged;
		account.held := account.held - h.amount;
		account.version := account.version + 1;
		account.updated_at := at;
		balance := account.balance; held := account.held; debt := account.debt; total_earned := account.total_earned;
		total_spent := account.total_spent; version := account.version;
		created_at := account.created_at; updated_at := account.updated_at;
		RETURN NEXT;
	END LOOP;
	IF cardinality(settled) = 0 THEN
		RETURN;
	END IF;
	INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
		operation, description, metadata, hold_id, api_key_id, spent_by, created_at, completed_at, hash)
	SELECT p_entries[c.i], o.user_id, c.sequence, 'usage', -c.charge, c.before, c.before - c.charge, o.app_id, o.operation, o.description,
	       CASE WHEN p_metadata[c.i] IS NULL THEN o.metadata ELSE coalesce(o.metadata, '{}') || p_metadata[c.i]::jsonb END, o.id, o.api_key_id, o.spent_by, at, at, c.hash
	FROM unnest(settled, charges, sequences, befores, hashes) AS c (i, charge, sequence, before, hash)
	JOIN credits.holds AS o ON o.id = p_holds[c.i]
	WHERE c.charge > 0;
	UPDATE credits.holds AS o
	SET state = 'settled', settled_amount = c.charge, resolved_at = at, attempts = greatest(o.attempts - 1, 0), body = coalesce(o.body, p_bodies[c.i])
	FROM unnest(settled, charges) AS c (i, charge)
	WHERE o.id = p_holds[c.i];
	UPDATE credits.balances AS b
	SET balance = b.balance - c.charge, total_spent = b.total_spent + c.charge, unburnt = b.unburnt + c.charge,
	    held = b.held - c.free, version = b.version + c.n, sequence = b.sequence + c.entries,
	    chain_sequence = b.sequence + c.entries, chain_hash = hashes[c.last], updated_at = at
	FROM (
		SELECT p_users[s.i] AS user_id, sum(s.charge)::bigint AS charge, sum(s.free)::bigint AS free, count(*) AS n,
		       count(*) FILTER (WHERE s.charge > 0) AS entries, max(s.n) AS last
		FROM unnest(settled, charges, frees) WITH ORDINALITY AS s (i, charge, free, n)
		GROUP BY 1
	) AS c
	WHERE b.user_id = c.user_id;
END $$;
