-- note_exhausted tells that an account had less than a price, once until it has more again (credits.watch_balance), and
-- returns the price. To an account that never had credits nothing is told. The account must be locked.
CREATE FUNCTION fn.note_exhausted(p_account text, p_price bigint) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
BEGIN
	UPDATE credits.balances AS b SET exhausted_told = p_price, alerted_at = clock_timestamp()
	WHERE b.user_id = p_account AND b.exhausted_told IS NULL
	RETURNING b.* INTO account;
	IF account.total_earned > 0 THEN
		PERFORM credits.alert(p_account, NULL, 'exhausted', 'credits.exhausted', NULL, jsonb_build_object('accountId', p_account,
			'balance', mana.credits(account.balance), 'required', mana.credits(p_price)));
	END IF;
	RETURN p_price;
END $$;
