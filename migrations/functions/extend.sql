-- extend has an open hold reserve more, as far as the account has it and whoever it is for may spend it. One that is resolved stays as it
-- is.
CREATE FUNCTION fn.extend(p_hold text, p_amount bigint)
	RETURNS TABLE (outcome text, balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz, credits_left bigint)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	h       credits.holds;
	moment  timestamptz;
	refusal text;
BEGIN
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO account FROM fn.account(h.user_id);
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold; -- as it is under the lock
	moment := clock_timestamp();
	IF h.api_key_id IS NOT NULL OR h.spent_by IS NOT NULL THEN
		SELECT l.refusal, l.credits_left INTO refusal, credits_left FROM fn.limits(h.user_id, h.spent_by, h.api_key_id, p_amount, moment) AS l;
	END IF;
	IF h.state <> 'open' THEN
		outcome := 'resolved';
	ELSIF refusal = 'not_member' THEN
		outcome := refusal;
	ELSIF account.balance - account.held < p_amount THEN
		outcome := 'insufficient';
		IF account.exhausted_told IS NULL THEN -- what runs out is cut off
			account.exhausted_told := fn.note_exhausted(h.user_id, p_amount);
		END IF;
	ELSIF refusal IS NOT NULL THEN
		outcome := refusal;
		PERFORM fn.note_budget(h.user_id, h.spent_by, h.api_key_id, refusal, moment);
	ELSE
		outcome := 'extended';
		IF h.api_key_id IS NOT NULL OR h.spent_by IS NOT NULL THEN
			PERFORM credits.spend(h.user_id, h.spent_by, h.api_key_id, p_amount, h.created_at); -- on the day that the hold counts for
		END IF;
		UPDATE credits.holds AS o SET amount = o.amount + p_amount WHERE o.id = p_hold;
		UPDATE credits.balances AS b SET held = b.held + p_amount, version = b.version + 1, updated_at = moment
		WHERE b.user_id = h.user_id
		RETURNING b.* INTO account;
	END IF;
	balance := account.balance; held := account.held; debt := account.debt; total_earned := account.total_earned;
	total_spent := account.total_spent; version := account.version;
	created_at := account.created_at; updated_at := account.updated_at;
	RETURN NEXT;
END $$;
