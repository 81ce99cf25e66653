-- settle charges a hold, once. A hold that was given back before is charged late, with what is available, unless
-- a newer hold of its key took its place.
CREATE FUNCTION fn.settle(p_hold text, p_entry text, p_amount bigint, p_metadata text, p_body bytea)
	RETURNS TABLE (outcome text, user_id text, charged bigint, app_id text, operation text, description text, metadata jsonb,
		entry_id text, entry_sequence bigint, balance_before bigint, at timestamptz, body bytea,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	h       credits.holds;
	freed   bigint := 0;
	client  text; -- whose the hold's key is, see fn.debit
BEGIN
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO account FROM fn.account(h.user_id);
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold; -- as it is under the lock
	at := clock_timestamp();
	client := coalesce(h.spent_by, h.user_id);
	charged := least(p_amount, h.amount);
	metadata := h.metadata;
	IF p_metadata IS NOT NULL THEN
		metadata := coalesce(metadata, '{}') || p_metadata::jsonb;
	END IF;
	IF h.state = 'open' THEN
		outcome := 'settled'; freed := h.amount;
	ELSIF h.state IN ('settled', 'late') THEN
		outcome := 'replayed'; charged := h.settled_amount;
	ELSIF h.idempotency_key IS NOT NULL AND EXISTS (
		SELECT FROM credits.holds AS o
		WHERE CASE WHEN o.spent_by IS NULL THEN o.user_id ELSE o.spent_by END = client AND o.idempotency_key = h.idempotency_key AND o.state IN ('open', 'settled', 'late')) THEN
		outcome := 'superseded'; charged := 0;
	ELSE
		outcome := 'late';
		charged := least(charged, account.balance - account.held);
		metadata := coalesce(metadata, '{}') || jsonb_build_object('lateSettle', true, 'shortfall', trim_scale((least(p_amount, h.amount) - charged) / 1000.0));
	END IF;
	IF outcome IN ('settled', 'late') THEN
		UPDATE credits.holds AS o
		SET state = outcome, settled_amount = charged, resolved_at = at, attempts = greatest(o.attempts - 1, 0),
		    body = coalesce(o.body, p_body)
		WHERE o.id = p_hold
		RETURNING o.body INTO body;
		IF charged > 0 THEN
			entry_id := p_entry; entry_sequence := account.sequence + 1; balance_before := account.balance;
			INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
				operation, description, metadata, hold_id, api_key_id, spent_by, created_at, completed_at)
			VALUES (p_entry, h.user_id, entry_sequence, 'usage', -charged, account.balance, account.balance - charged,
				h.app_id, h.operation, h.description, metadata, h.id, h.api_key_id, h.spent_by, at, at);
		END IF;
		UPDATE credits.balances AS b
		SET balance = b.balance - charged, total_spent = b.total_spent + charged, unburnt = b.unburnt + charged,
		    held = b.held - freed, version = b.version + 1, sequence = b.sequence + (charged > 0)::int, updated_at = at
		WHERE b.user_id = h.user_id;
		SELECT * INTO account FROM fn.account(h.user_id);
	ELSIF outcome = 'replayed' THEN
		body := h.body;
		SELECT t.id INTO entry_id FROM credits.transactions AS t WHERE t.hold_id = p_hold;
	END IF;
	user_id := h.user_id; app_id := h.app_id; operation := h.operation; description := h.description;
	balance := account.balance; held := account.held; debt := account.debt; total_earned := account.total_earned;
	total_spent := account.total_spent; version := account.version;
	created_at := account.created_at; updated_at := account.updated_at;
	RETURN NEXT;
END $$;
