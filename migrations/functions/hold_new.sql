-- hold_new reserves credits for those of a batch's holds that are plain: under no key or one that nobody used before, of an account that owes nothing and has nothing to expire, and neither by an API key nor of an organisation. The others have no row here and are for
-- fn.hold. p_items are the positions of the holds in the other arrays, in ascending order of the bytes of their
-- accounts, which the caller has locked. What is booked goes into the tables in one statement each, as in fn.debit.
CREATE FUNCTION fn.hold_new(p_items int[], p_users text[], p_ids text[], p_amounts bigint[], p_apps text[], p_operations text[],
	p_descriptions text[], p_metadata text[], p_keys text[], p_fingerprints bytea[], p_ttls interval[], p_api_keys text[])
	RETURNS TABLE (item int, outcome text, hold_id text,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	accounts  credits.balances[];
	account   credits.balances;
	a         int := 1;  -- the next of accounts
	known     int[];     -- the items whose key is not new
	last_user text;
	seen      text[];        -- the keys of the account's items before
	reserved  int[] := '{}'; -- the items to book
	moment    timestamptz;
BEGIN
	SELECT array_agg(l) INTO accounts FROM (
		SELECT * FROM credits.balances AS b
		WHERE b.user_id = ANY (SELECT p_users[k.i] FROM unnest(p_items) AS k (i)) ORDER BY b.user_id COLLATE "C" FOR UPDATE) AS l;
	SELECT array_agg(k.i) INTO known FROM unnest(p_items) AS k (i)
	WHERE p_keys[k.i] IS NOT NULL AND EXISTS (
		SELECT FROM credits.holds AS h
		WHERE CASE WHEN h.spent_by IS NULL THEN h.user_id ELSE h.spent_by END = p_users[k.i] AND h.idempotency_key = p_keys[k.i] AND h.state IN ('open', 'settled', 'late'));
	moment := clock_timestamp();
	FOREACH item IN ARRAY p_items LOOP
		IF p_users[item] IS DISTINCT FROM last_user THEN
			last_user := p_users[item]; seen := '{}';
			account := accounts[a];
			IF account.user_id = last_user THEN
				a := a + 1;
			ELSE
				account := NULL;
			END IF;
		END IF;
		CONTINUE WHEN account.user_id IS NULL OR account.debt > 0 OR account.next_expiry <= moment OR p_api_keys[item] IS NOT NULL OR starts_with(p_users[item], 'org:')
			OR item = ANY (known) OR p_keys[item] = ANY (seen);
		seen := seen || p_keys[item];
		IF account.balance - account.held < p_amounts[item] THEN
			outcome := 'insufficient'; hold_id := NULL;
			IF account.exhausted_told IS NULL AND account.balance < p_amounts[item] THEN
				account.exhausted_told := fn.note_exhausted(p_users[item], p_amounts[item]);
			END IF;
		ELSE
			outcome := 'held'; hold_id := p_ids[item];
			reserved := reserved || item;
			account.held := account.held + p_amounts[item];
			account.version := account.version + 1;
			account.updated_at := moment;
		END IF;
		balance := account.balance; held := account.held; debt := account.debt; total_earned := account.total_earned;
		total_spent := account.total_spent; version := account.version;
		created_at := account.created_at; updated_at := account.updated_at;
		RETURN NEXT;
	END LOOP;
	IF cardinality(reserved) = 0 THEN
		RETURN;
	END IF;
	INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, metadata, idempotency_key, fingerprint, created_at, expires_at)
	SELECT p_ids[r.i], p_users[r.i], p_amounts[r.i], p_apps[r.i], p_operations[r.i], p_descriptions[r.i], p_metadata[r.i]::jsonb,
	       p_keys[r.i], p_fingerprints[r.i], moment, moment + p_ttls[r.i]
	FROM unnest(reserved) AS r (i);
	UPDATE credits.balances AS b
	SET held = b.held + r.amount, version = b.version + r.n, updated_at = moment
	FROM (
		SELECT p_users[i] AS user_id, sum(p_amounts[i])::bigint AS amount, count(*) AS n
		FROM unnest(reserved) AS i
		GROUP BY 1
	) AS r
	WHERE b.user_id = r.user_id;
END $$;
