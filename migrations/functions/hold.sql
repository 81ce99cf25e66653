-- hold reserves credits, or finds the hold of a key that is running or settled. A key is good for three passes
-- within ten minutes of its charge, for none once that was refunded, and forgotten after a day. Where another account
-- pays for it, as it is the spender's, the hold there is found 'elsewhere'.
CREATE FUNCTION fn.hold(p_user text, p_id text, p_amount bigint, p_app text, p_operation text, p_description text,
	p_metadata text, p_key text, p_fingerprint bytea, p_ttl interval, p_api_key text, p_spender text)
	RETURNS TABLE (outcome text, hold_id text, settled_amount bigint, body bytea,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz, credits_left bigint)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	known   credits.holds;
	moment  timestamptz;
	refusal text;
	client  CONSTANT text := coalesce(p_spender, p_user); -- whose the key is, see fn.debit
BEGIN
	SELECT * INTO account FROM fn.account(p_user);
	moment := clock_timestamp();
	IF p_key IS NOT NULL THEN
		SELECT * INTO known FROM credits.holds AS h
		WHERE CASE WHEN h.spent_by IS NULL THEN h.user_id ELSE h.spent_by END = client AND h.idempotency_key = p_key AND h.state IN ('open', 'settled', 'late');
		IF known.user_id <> p_user THEN
			NULL; -- its account is not locked
		ELSIF known.state = 'open' AND known.expires_at <= moment THEN
			PERFORM fn.expire_hold(known.id, moment);
			known := NULL;
			SELECT * INTO account FROM fn.account(p_user); -- what it kept alive expires
		ELSIF known.resolved_at < moment - interval '24 hours' THEN
			UPDATE credits.holds AS h SET idempotency_key = NULL WHERE h.id = known.id; -- a retry does not come that late
			known := NULL;
		END IF;
	END IF;
	IF (p_api_key IS NOT NULL OR starts_with(p_user, 'org:')) AND known.id IS NULL AND account.user_id IS NOT NULL THEN
		SELECT l.refusal, l.credits_left INTO refusal, credits_left FROM fn.limits(p_user, p_spender, p_api_key, p_amount, moment) AS l;
	END IF;
	IF account.user_id IS NULL THEN
		outcome := 'no_account';
	ELSIF known.user_id <> p_user THEN
		outcome := 'elsewhere'; hold_id := known.id;
	ELSIF known.id IS NOT NULL AND known.fingerprint <> p_fingerprint THEN
		outcome := 'key_reused';
	ELSIF known.settled_amount > 0 AND EXISTS (
		SELECT FROM credits.transactions AS t JOIN credits.transactions AS r ON r.reverses = t.id
		WHERE t.hold_id = known.id GROUP BY t.id HAVING sum(r.amount) >= -t.amount) THEN
		outcome := 'key_refunded';
	ELSIF known.passes >= 3 OR known.resolved_at < moment - interval '10 minutes' THEN
		outcome := 'key_spent';
	ELSIF known.id IS NOT NULL THEN
		outcome := 'replayed'; hold_id := known.id; settled_amount := known.settled_amount; body := known.body;
		UPDATE credits.holds AS h
		SET passes = h.passes + 1,
		    attempts = CASE h.state WHEN 'open' THEN h.attempts + 1 ELSE h.attempts END,
		    expires_at = CASE h.state WHEN 'open' THEN greatest(h.expires_at, moment + p_ttl) ELSE h.expires_at END
		WHERE h.id = known.id;
	ELSIF refusal = 'not_member' THEN
		outcome := refusal;
	ELSIF account.balance - account.held < p_amount THEN
		outcome := 'insufficient';
		IF account.exhausted_told IS NULL AND account.balance < p_amount THEN
			account.exhausted_told := fn.note_exhausted(p_user, p_amount);
		END IF;
	ELSIF refusal IS NOT NULL THEN
		outcome := refusal;
		PERFORM fn.note_budget(p_user, p_spender, p_api_key, refusal, moment);
	ELSE
		outcome := 'held'; hold_id := p_id;
		IF p_api_key IS NOT NULL OR p_spender IS NOT NULL THEN
			PERFORM credits.spend(p_user, p_spender, p_api_key, p_amount, moment);
		END IF;
		INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, metadata, idempotency_key, fingerprint, api_key_id, spent_by, created_at, expires_at)
		VALUES (p_id, p_user, p_amount, p_app, p_operation, p_description, p_metadata::jsonb, p_key, p_fingerprint, p_api_key, p_spender, moment, moment + p_ttl);
		UPDATE credits.balances AS b SET held = b.held + p_amount, version = b.version + 1, updated_at = moment
		WHERE b.user_id = p_user
		RETURNING b.* INTO account;
	END IF;
	balance := coalesce(account.balance, 0); held := coalesce(account.held, 0); debt := coalesce(account.debt, 0); total_earned := coalesce(account.total_earned, 0);
	total_spent := coalesce(account.total_spent, 0); version := coalesce(account.version, 0);
	created_at := coalesce(account.created_at, moment); updated_at := coalesce(account.updated_at, moment);
	RETURN NEXT;
END $$;
