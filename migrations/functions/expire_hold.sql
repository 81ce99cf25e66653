-- expire_hold gives back what a hold reserved whose time is over.
CREATE FUNCTION fn.expire_hold(p_hold text, p_now timestamptz) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	gone credits.holds;
BEGIN
	UPDATE credits.holds SET state = 'expired', resolved_at = p_now
	WHERE id = p_hold AND state = 'open'
	RETURNING * INTO gone;
	IF FOUND THEN
		UPDATE credits.balances SET held = held - gone.amount, version = version + 1, updated_at = p_now
		WHERE user_id = gone.user_id;
	END IF;
END $$;
