-- lease brings the leases of an edge up to date: it writes the charges that were made to them, and reserves or gives back so
-- that each has p_keeps, which is taken for requests without an answer, and p_wants beside it, but no more of that than half
-- of what the account has free, and nothing where that is less than p_least. p_users are in ascending order of their bytes,
-- each once; p_leases are the holds, or what a new one is to be named. An account that somebody else has locked is passed
-- over: 'locked'; with p_wait the lock is waited for, for a second.
--
-- p_of is the position of the lease that a charge was made to. With p_again charges may have been written before. Charges to
-- a lease whose time is over are written as far as the account has what they come to, in their order; 'lost' are the others.
--
-- fresh_for is in how many seconds the next lot expires: until then a lease may be spent, as it keeps lots alive.
CREATE FUNCTION fn.lease(p_wait boolean, p_again boolean, p_ttl interval, p_users text[], p_leases text[], p_keeps bigint[],
	p_wants bigint[], p_least bigint[], p_of int[], p_ids text[], p_amounts bigint[], p_apps text[], p_operations text[],
	p_descriptions text[], p_metadata text[])
	RETURNS TABLE (item int, outcome text, reserved bigint, available bigint, lost bigint, fresh_for float8)
	-- as in fn.batch
	LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
	SET jit = off AS $$
DECLARE
	accounts credits.balances[];
	account  credits.balances;
	a        int := 1; -- the next of accounts
	holds    credits.holds[];
	h        credits.holds;
	sums     bigint[];
	counts   bigint[];
	written  text[] := '{}'; -- the charges that are
	before   bigint;
	remains  bigint;
	charge   bigint;
	n        bigint;
	want     bigint;
	at       timestamptz;
	changed  int[] := '{}';    -- the items to book, with
	charges  bigint[] := '{}'; -- what is charged,
	rows     bigint[] := '{}'; -- by so many rows,
	starts   bigint[] := '{}'; -- from this balance
	firsts   bigint[] := '{}'; -- after this row,
	tails    bytea[] := '{}';  -- which has this hash, and in the end the last one does
	befores  bigint[] := '{}'; -- what the lease had reserved
	afters   bigint[] := '{}'; -- and has then
	hashes   bytea[] := '{}';  -- of the rows
	line     record;
	tail     bytea;
	touched  text[] := '{}';   -- the accounts that what came back pays debts of
BEGIN
	IF p_wait THEN
		PERFORM set_config('lock_timeout', '1s', true);
		SELECT array_agg(l) INTO accounts FROM (
			SELECT * FROM credits.balances AS b
			WHERE b.user_id = ANY (p_users) ORDER BY b.user_id COLLATE "C" FOR UPDATE) AS l;
	ELSE
		SELECT array_agg(l) INTO accounts FROM (
			SELECT * FROM credits.balances AS b
			WHERE b.user_id = ANY (p_users) ORDER BY b.user_id COLLATE "C" FOR UPDATE SKIP LOCKED) AS l;
	END IF;
	IF p_again THEN
		SELECT coalesce(array_agg(t.id), '{}') INTO written FROM credits.transactions AS t WHERE t.id = ANY (p_ids);
	END IF;
	SELECT array_agg(o ORDER BY k.n) INTO holds
	FROM unnest(p_leases) WITH ORDINALITY AS k (id, n) LEFT JOIN credits.holds AS o ON o.id = k.id;
	SELECT array_agg(coalesce(c.total, 0) ORDER BY k.i), array_agg(coalesce(c.n, 0) ORDER BY k.i) INTO sums, counts
	FROM generate_series(1, cardinality(p_users)) AS k (i)
	LEFT JOIN (
		SELECT u.i, sum(u.amount)::bigint AS total, count(*) AS n
		FROM unnest(p_of, p_ids, p_amounts) AS u (i, id, amount)
		WHERE u.id <> ALL (written)
		GROUP BY 1) AS c USING (i);
	at := clock_timestamp();
	FOR i IN 1 .. cardinality(p_users) LOOP
		item := i; lost := 0; reserved := 0; available := 0; fresh_for := NULL;
		account := accounts[a];
		IF account.user_id IS DISTINCT FROM p_users[i] THEN
			outcome := CASE WHEN p_wait THEN 'no_account' ELSE 'locked' END;
			RETURN NEXT;
			CONTINUE;
		END IF;
		a := a + 1;
		IF account.next_expiry <= at THEN
			PERFORM fn.expire(p_users[i], at);
			SELECT * INTO account FROM credits.balances AS b WHERE b.user_id = p_users[i];
		END IF;
		IF account.debt > 0 AND account.balance > account.held THEN
			PERFORM fn.pay_debt(p_users[i]);
			SELECT * INTO account FROM credits.balances AS b WHERE b.user_id = p_users[i];
		END IF;
		h := holds[i];
		available := account.balance - account.held;
		before := CASE WHEN h.state = 'open' THEN h.amount ELSE 0 END;
		charge := sums[i]; n := counts[i];
		IF charge > before THEN -- the time of the lease is over
			SELECT coalesce(max(u.upto), 0), count(*) INTO charge, n FROM (
				SELECT sum(u.amount) OVER (ORDER BY u.k) AS upto
				FROM unnest(p_of, p_ids, p_amounts) WITH ORDINALITY AS u (i, id, amount, k)
				WHERE u.i = item AND u.id <> ALL (written)) AS u
			WHERE u.upto <= before + available;
			lost := sums[i] - charge;
			available := available - greatest(charge - before, 0);
		END IF;
		remains := greatest(before - charge, 0);
		fresh_for := extract(epoch FROM account.next_expiry - at);
		outcome := 'leased'; want := p_wants[i];
		IF h.state <> 'open' THEN
			outcome := 'over';
		ELSIF remains > p_keeps[i] + want THEN
			available := available + remains - p_keeps[i] - want;
			remains := p_keeps[i] + want;
		ELSE
			want := least(want, (available + remains - p_keeps[i]) / 2);
			IF want >= p_least[i] AND want > 0 AND p_keeps[i] + want > remains AND (fresh_for > 1) IS NOT FALSE AND h.recalled IS NOT TRUE THEN
				available := available + remains - p_keeps[i] - want;
				remains := p_keeps[i] + want;
			END IF;
		END IF;
		reserved := remains;
		RETURN NEXT;
		CONTINUE WHEN h.state IS DISTINCT FROM 'open' AND remains = 0 AND n = 0;
		changed := changed || i; charges := charges || charge; rows := rows || n; starts := starts || account.balance;
		tail := account.chain_hash;
		IF n > 0 AND account.chain_sequence IS DISTINCT FROM account.sequence THEN
			tail := credits.chain_tail(p_users[i], account.sequence);
		END IF;
		tails := tails || tail;
		firsts := firsts || account.sequence; befores := befores || before; afters := afters || remains;
		IF (account.debt > 0 OR account.next_expiry <= at) AND remains < before THEN
			touched := touched || account.user_id;
		END IF;
	END LOOP;
	IF cardinality(changed) = 0 THEN
		RETURN;
	END IF;
	FOR line IN
		SELECT u.*, c.p, c.first + u.n AS sequence, c.start - u.upto AS after, c.tail
		FROM (
			SELECT u.*, sum(u.amount) OVER w AS upto, row_number() OVER w AS n
			FROM unnest(p_of, p_ids, p_amounts, p_apps, p_operations, p_descriptions, p_metadata) WITH ORDINALITY
				AS u (i, id, amount, app, operation, description, metadata, k)
			WHERE u.id <> ALL (written)
			WINDOW w AS (PARTITION BY u.i ORDER BY u.k)
		) AS u
		JOIN unnest(changed, charges, starts, firsts, tails) WITH ORDINALITY AS c (i, charge, start, first, tail, p) ON c.i = u.i
		WHERE u.upto <= c.charge
		ORDER BY u.i, u.n
	LOOP
		IF line.n = 1 THEN
			tail := line.tail;
		END IF;
		tail := credits.chained(tail, p_users[line.i], line.sequence, line.id, 'usage', 'completed', -line.amount, (line.after + line.amount)::bigint, line.after::bigint,
			line.app, line.operation, line.description, line.metadata::jsonb, NULL, NULL, NULL, NULL, NULL, NULL, at, at);
		hashes := hashes || tail;
		tails[line.p] := tail;
	END LOOP;
	INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
		operation, description, metadata, created_at, completed_at, hash)
	SELECT u.id, p_users[u.i], c.first + u.n, 'usage', -u.amount, c.start - u.upto + u.amount, c.start - u.upto, u.app, u.operation, u.description,
	       u.metadata::jsonb, at, at, hashes[row_number() OVER (ORDER BY u.i, u.n)]
	FROM (
		SELECT u.*, sum(u.amount) OVER w AS upto, row_number() OVER w AS n
		FROM unnest(p_of, p_ids, p_amounts, p_apps, p_operations, p_descriptions, p_metadata) WITH ORDINALITY
			AS u (i, id, amount, app, operation, description, metadata, k)
		WHERE u.id <> ALL (written)
		WINDOW w AS (PARTITION BY u.i ORDER BY u.k)
	) AS u
	JOIN unnest(changed, charges, starts, firsts) AS c (i, charge, start, first) ON c.i = u.i
	WHERE u.upto <= c.charge;
	INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, lease, created_at, expires_at)
	SELECT p_leases[c.i], p_users[c.i], c.remains, 'credits', 'lease', 'Lease of an edge', true, at, at + p_ttl
	FROM unnest(changed, afters) AS c (i, remains)
	WHERE c.remains > 0 AND (holds[c.i]).id IS NULL;
	UPDATE credits.holds AS o
	SET state = CASE WHEN c.remains = 0 THEN 'released' ELSE 'open' END,
	    amount = CASE WHEN c.remains = 0 THEN o.amount ELSE c.remains END,
	    resolved_at = CASE WHEN c.remains = 0 THEN at END,
	    recalled = o.recalled AND p_wants[c.i] > 0,
	    expires_at = greatest(o.expires_at, at + p_ttl)
	FROM unnest(changed, afters) AS c (i, remains)
	WHERE o.id = p_leases[c.i] AND o.state = 'open' AND (holds[c.i]).id IS NOT NULL;
	UPDATE credits.balances AS b
	SET balance = b.balance - c.charge, total_spent = b.total_spent + c.charge, unburnt = b.unburnt + c.charge,
	    held = b.held - c.before + c.remains, version = b.version + c.n + 1, sequence = b.sequence + c.n,
	    chain_sequence = CASE WHEN c.n > 0 THEN b.sequence + c.n ELSE b.chain_sequence END,
	    chain_hash = CASE WHEN c.n > 0 THEN c.tail ELSE b.chain_hash END, updated_at = at
	FROM unnest(changed, charges, rows, befores, afters, tails) AS c (i, charge, n, before, remains, tail)
	WHERE b.user_id = p_users[c.i];
	FOR i IN 1 .. cardinality(touched) LOOP
		PERFORM fn.account(touched[i]);
	END LOOP;
END $$;
