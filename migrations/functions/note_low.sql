-- note_low gives an account a threshold and begins its dip anew: one that is below is told of at once, as
-- credits.watch_balance tells of one that falls. The account must be locked.
CREATE FUNCTION fn.note_low(p_account text, p_threshold bigint) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
BEGIN
	UPDATE credits.balances AS b SET low_below = p_threshold,
		low_told = CASE WHEN b.balance < p_threshold THEN p_threshold END,
		alerted_at = CASE WHEN b.balance < p_threshold THEN clock_timestamp() ELSE b.alerted_at END
	WHERE b.user_id = p_account
	RETURNING b.* INTO account;
	IF account.balance < p_threshold THEN
		PERFORM credits.alert(p_account, NULL, 'low', 'credits.low', NULL, jsonb_build_object('accountId', p_account,
			'balance', mana.credits(account.balance), 'threshold', mana.credits(p_threshold)));
	END IF;
END $$;
