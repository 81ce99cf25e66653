-- account locks an account, expires what is due, pays what is owed and returns its row: none where there is none.
CREATE FUNCTION fn.account(p_user text) RETURNS SETOF credits.balances
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
BEGIN
	SELECT * INTO account FROM credits.balances WHERE user_id = p_user FOR UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF account.next_expiry <= clock_timestamp() THEN
		PERFORM fn.expire(p_user, clock_timestamp());
		SELECT * INTO account FROM credits.balances WHERE user_id = p_user;
	END IF;
	IF account.debt > 0 AND account.balance > account.held THEN
		PERFORM fn.pay_debt(p_user);
		SELECT * INTO account FROM credits.balances WHERE user_id = p_user;
	END IF;
	RETURN NEXT account;
END $$;
