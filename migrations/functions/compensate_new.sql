-- compensate_new gives those of a batch's charges back that are plain: no lot was charged with any of them and none came
-- back, they count against no budget, and their account owes nothing and has nothing to expire. The others have no row here and are for fn.compensate. p_items are the positions of the
-- compensations in the other arrays, in ascending order of the bytes of their accounts, which the caller has locked. What
-- is booked goes into the tables in one statement each, as in fn.debit.
CREATE FUNCTION fn.compensate_new(p_items int[], p_users text[], p_entries text[], p_charges text[])
	RETURNS TABLE (item int, outcome text, entry_id text,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	accounts  credits.balances[];
	account   credits.balances;
	a         int := 1;  -- the next of accounts
	charges   credits.transactions[];
	c         credits.transactions;
	reversed  text[];    -- the charges of which something came back before
	last_user text;
	given     int[] := '{}';    -- the items to book, with
	amounts   bigint[] := '{}'; -- how much comes back,
	sequences bigint[] := '{}'; -- their numbers
	befores   bigint[] := '{}'; -- the balances before them
	hashes    bytea[] := '{}';  -- and the hashes that chain them
	tail      bytea;            -- the last hash of account
	moment    timestamptz;
	i         int;
BEGIN
	SELECT array_agg(l) INTO accounts FROM (
		SELECT * FROM credits.balances AS b
		WHERE b.user_id = ANY (SELECT p_users[k.i] FROM unnest(p_items) AS k (i)) ORDER BY b.user_id COLLATE "C" FOR UPDATE) AS l;
	SELECT array_agg(t ORDER BY k.n), array_agg(t.id) FILTER (WHERE r.id IS NOT NULL) INTO charges, reversed
	FROM unnest(p_items) WITH ORDINALITY AS k (i, n)
	LEFT JOIN credits.transactions AS t ON t.id = p_charges[k.i]
	LEFT JOIN LATERAL (SELECT r.id FROM credits.transactions AS r WHERE r.reverses = t.id LIMIT 1) AS r ON true;
	moment := clock_timestamp();
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
		c := charges[n];
		CONTINUE WHEN account.user_id IS NULL OR account.debt > 0 OR account.next_expiry <= moment
			OR c.id IS NULL OR c.user_id <> account.user_id OR c.type <> 'usage' OR c.amount >= 0
			OR c.sequence <= account.burnt_through OR account.unburnt < -c.amount OR account.loose_refunds
			OR c.api_key_id IS NOT NULL OR c.spent_by IS NOT NULL OR c.id = ANY (reversed);
		reversed := reversed || c.id;
		item := i; outcome := 'refunded'; entry_id := p_entries[i];
		account.sequence := account.sequence + 1;
		tail := credits.chained(tail, last_user, account.sequence, entry_id, 'refund', 'completed', -c.amount, account.balance,
			account.balance - c.amount, c.app_id, c.operation, left('Refund: ' || c.description, 4096), NULL, NULL, 'compensation:' || c.id,
			c.id, NULL, NULL, NULL, moment, moment);
		given := given || i; amounts := amounts || -c.amount; sequences := sequences || account.sequence;
		befores := befores || account.balance; hashes := hashes || tail;
		account.balance := account.balance - c.amount;
		account.total_spent := account.total_spent + c.amount;
		account.unburnt := account.unburnt + c.amount;
		account.version := account.version + 1;
		account.updated_at := moment;
		balance := account.balance; held := account.held; debt := account.debt; total_earned := account.total_earned;
		total_spent := account.total_spent; version := account.version;
		created_at := account.created_at; updated_at := account.updated_at;
		RETURN NEXT;
	END LOOP;
	IF cardinality(given) = 0 THEN
		RETURN;
	END IF;
	INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
		operation, description, internal_key, reverses, created_at, completed_at, hash)
	SELECT p_entries[g.i], t.user_id, g.sequence, 'refund', g.amount, g.before, g.before + g.amount, t.app_id, t.operation,
	       left('Refund: ' || t.description, 4096), 'compensation:' || t.id, t.id, moment, moment, g.hash
	FROM unnest(given, amounts, sequences, befores, hashes) AS g (i, amount, sequence, before, hash)
	JOIN credits.transactions AS t ON t.id = p_charges[g.i];
	UPDATE credits.balances AS b
	SET balance = b.balance + g.amount, total_spent = b.total_spent - g.amount, unburnt = b.unburnt - g.amount,
	    version = b.version + g.n, sequence = b.sequence + g.n, chain_sequence = b.sequence + g.n, chain_hash = hashes[g.last], updated_at = moment
	FROM (
		SELECT p_users[s.i] AS user_id, sum(s.amount)::bigint AS amount, count(*) AS n, max(s.n) AS last
		FROM unnest(given, amounts) WITH ORDINALITY AS s (i, amount, n)
		GROUP BY 1
	) AS g
	WHERE b.user_id = g.user_id;
END $$;
