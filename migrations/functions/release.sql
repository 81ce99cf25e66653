-- release ends one attempt under a hold, which then does not count for its key; the last one gives the credits back.
CREATE FUNCTION fn.release(p_hold text)
	RETURNS TABLE (outcome text, user_id text,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	h       credits.holds;
	moment  timestamptz;
BEGIN
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO account FROM fn.account(h.user_id);
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold;
	moment := clock_timestamp();
	outcome := 'unchanged';
	IF h.state = 'open' AND h.attempts > 1 THEN
		UPDATE credits.holds AS o SET attempts = o.attempts - 1, passes = greatest(o.passes - 1, 0) WHERE o.id = p_hold;
		outcome := 'shared';
	ELSIF h.state = 'open' THEN
		outcome := 'released';
		UPDATE credits.holds AS o SET state = 'released', attempts = 0, resolved_at = moment WHERE o.id = p_hold;
		UPDATE credits.balances AS b SET held = b.held - h.amount, version = b.version + 1, updated_at = moment
		WHERE b.user_id = h.user_id;
		SELECT * INTO account FROM fn.account(h.user_id);
	ELSIF h.state IN ('settled', 'late') THEN
		UPDATE credits.holds AS o SET passes = greatest(o.passes - 1, 0) WHERE o.id = p_hold;
	END IF;
	user_id := h.user_id;
	balance := account.balance; held := account.held; debt := account.debt; total_earned := account.total_earned;
	total_spent := account.total_spent; version := account.version;
	created_at := account.created_at; updated_at := account.updated_at;
	RETURN NEXT;
END $$;
