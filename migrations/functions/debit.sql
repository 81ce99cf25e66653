-- debit decides and books a batch. Items of one account stand together, accounts in ascending order of their
-- bytes: every batch locks in the same order. An item that is refused leaves nothing behind. What is booked goes into
-- the tables in one statement each: a statement's own cost, above all reading the CHECKs of its table, is many times
-- that of a row.
CREATE FUNCTION fn.debit(p_users text[], p_ids text[], p_types text[], p_amounts bigint[], p_apps text[], p_operations text[],
	p_descriptions text[], p_metadata text[], p_keys text[], p_fingerprints bytea[], p_edges text[], p_api_keys text[], p_spenders text[])
	RETURNS TABLE (item int, outcome text, entry_id text, entry_sequence bigint, balance_before bigint, at timestamptz,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz, credits_left bigint)
	LANGUAGE plpgsql AS $$
DECLARE
	n          CONSTANT int := cardinality(p_users);
	accounts   credits.balances[];
	account    credits.balances;
	a          int := 1;  -- the next of accounts
	client     text;   -- whose the item's key is; by a coalesce in the condition no index would be used, see 0045_keys.sql
	twin       int;
	refusal    text;
	known      text;
	known_mark bytea;
	charged    int[] := '{}';    -- the items to book, with
	sequences  bigint[] := '{}'; -- their numbers
	befores    bigint[] := '{}'; -- the balances before them
	hashes     bytea[] := '{}';  -- and the hashes that chain them
	tail       bytea;            -- the last hash of account
BEGIN
	SELECT array_agg(l) INTO accounts FROM (
		SELECT * FROM credits.balances AS b
		WHERE b.user_id = ANY (p_users) ORDER BY b.user_id COLLATE "C" FOR UPDATE) AS l;
	at := clock_timestamp();
	FOR i IN 1 .. n LOOP
		IF i = 1 OR p_users[i] <> p_users[i - 1] THEN
			account := accounts[a];
			IF account.user_id = p_users[i] THEN
				a := a + 1;
				IF account.next_expiry <= at THEN
					PERFORM fn.expire(p_users[i], at);
					SELECT * INTO account FROM credits.balances AS b WHERE b.user_id = p_users[i];
				END IF;
				IF account.debt > 0 AND account.balance > account.held THEN
					PERFORM fn.pay_debt(p_users[i]);
					SELECT * INTO account FROM credits.balances AS b WHERE b.user_id = p_users[i];
				END IF;
				tail := account.chain_hash;
				IF account.chain_sequence IS DISTINCT FROM account.sequence THEN
					tail := credits.chain_tail(p_users[i], account.sequence);
				END IF;
			ELSE
				account := NULL;
			END IF;
		END IF;
		item := i; entry_id := NULL; entry_sequence := NULL; balance_before := NULL; known := NULL;
		refusal := NULL; credits_left := NULL;
		IF p_keys[i] IS NOT NULL THEN
			client := coalesce(p_spenders[i], p_users[i]);
			SELECT t.id, t.fingerprint INTO known, known_mark
			FROM credits.transactions AS t
			WHERE CASE WHEN t.spent_by IS NULL THEN t.user_id ELSE t.spent_by END = client AND t.idempotency_key = p_keys[i];
			FOREACH twin IN ARRAY charged LOOP -- its twin may stand before it
				IF coalesce(p_spenders[twin], p_users[twin]) = client AND p_keys[twin] = p_keys[i] THEN
					known := p_ids[twin]; known_mark := p_fingerprints[twin];
				END IF;
			END LOOP;
		END IF;
		IF (p_api_keys[i] IS NOT NULL OR starts_with(p_users[i], 'org:')) AND known IS NULL AND account.user_id IS NOT NULL THEN
			-- what stands before it in the batch has been spent
			SELECT l.refusal, l.credits_left INTO refusal, credits_left FROM fn.limits(p_users[i], p_spenders[i], p_api_keys[i], p_amounts[i], at) AS l;
		END IF;
		IF account.user_id IS NULL THEN
			outcome := 'no_account';
		ELSIF known IS NOT NULL THEN
			outcome := CASE
				WHEN known_mark IS DISTINCT FROM p_fingerprints[i] THEN 'key_reused'
				WHEN EXISTS (
					SELECT FROM credits.transactions AS t JOIN credits.transactions AS r ON r.reverses = t.id
					WHERE t.id = known GROUP BY t.id HAVING sum(r.amount) >= -t.amount) THEN 'key_refunded'
				ELSE 'replayed' END;
			entry_id := known;
		ELSIF refusal = 'not_member' THEN
			outcome := refusal;
		ELSIF account.balance - account.held < p_amounts[i] THEN
			outcome := 'insufficient';
			IF account.exhausted_told IS NULL AND account.balance < p_amounts[i] THEN
				account.exhausted_told := fn.note_exhausted(p_users[i], p_amounts[i]);
			END IF;
		ELSIF refusal IS NOT NULL THEN
			outcome := refusal;
			PERFORM fn.note_budget(p_users[i], p_spenders[i], p_api_keys[i], refusal, at);
		ELSE
			outcome := 'charged';
			IF p_api_keys[i] IS NOT NULL OR p_spenders[i] IS NOT NULL THEN
				PERFORM credits.spend(p_users[i], p_spenders[i], p_api_keys[i], p_amounts[i], at);
			END IF;
		END IF;
		IF outcome = 'charged' THEN
			account.sequence := account.sequence + 1;
			tail := credits.chained(tail, p_users[i], account.sequence, p_ids[i], p_types[i], 'completed', -p_amounts[i], account.balance,
				account.balance - p_amounts[i], p_apps[i], p_operations[i], p_descriptions[i], p_metadata[i]::jsonb, p_keys[i],
				NULL, NULL, NULL, p_api_keys[i], p_spenders[i], at, at);
			hashes := hashes || tail;
			account.version := account.version + 1;
			account.updated_at := at;
			entry_id := p_ids[i]; entry_sequence := account.sequence; balance_before := account.balance;
			charged := charged || i; sequences := sequences || account.sequence; befores := befores || account.balance;
			account.balance := account.balance - p_amounts[i];
			account.total_spent := account.total_spent + p_amounts[i];
		END IF;
		balance := coalesce(account.balance, 0); held := coalesce(account.held, 0); debt := coalesce(account.debt, 0); total_earned := coalesce(account.total_earned, 0);
		total_spent := coalesce(account.total_spent, 0); version := coalesce(account.version, 0);
		created_at := coalesce(account.created_at, at); updated_at := coalesce(account.updated_at, at);
		RETURN NEXT;
	END LOOP;
	IF cardinality(charged) = 0 THEN
		RETURN;
	END IF;
	INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
		operation, description, metadata, idempotency_key, fingerprint, edge, api_key_id, spent_by, created_at, completed_at, hash)
	SELECT p_ids[c.i], p_users[c.i], c.sequence, p_types[c.i], -p_amounts[c.i], c.before, c.before - p_amounts[c.i], p_apps[c.i],
	       p_operations[c.i], p_descriptions[c.i], p_metadata[c.i]::jsonb, p_keys[c.i], p_fingerprints[c.i], p_edges[c.i], p_api_keys[c.i], p_spenders[c.i], at, at, c.hash
	FROM unnest(charged, sequences, befores, hashes) AS c (i, sequence, before, hash);
	UPDATE credits.balances AS b
	SET balance = b.balance - c.amount, total_spent = b.total_spent + c.amount, unburnt = b.unburnt + c.amount,
	    version = b.version + c.n, sequence = b.sequence + c.n, chain_sequence = b.sequence + c.n, chain_hash = hashes[c.last], updated_at = at
	FROM (
		SELECT p_users[k.i] AS user_id, sum(p_amounts[k.i])::bigint AS amount, count(*) AS n, max(k.n) AS last
		FROM unnest(charged) WITH ORDINALITY AS k (i, n)
		GROUP BY 1
	) AS c
	WHERE b.user_id = c.user_id;
END $$;
