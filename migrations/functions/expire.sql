-- expire takes what is left of lots whose time is over, a ledger row for each. As much as open holds reserve
-- stays, until they are resolved.
CREATE FUNCTION fn.expire(p_user text, p_now timestamptz) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	lot     credits.lots;
	held    bigint;
	kept    bigint;
	entry   text;
BEGIN
	PERFORM fn.burn(p_user);
	SELECT * INTO account FROM credits.balances WHERE user_id = p_user;
	held := account.held;
	FOR lot IN
		SELECT * FROM credits.lots
		WHERE user_id = p_user AND remaining > 0
		ORDER BY priority, expires_at NULLS LAST, promotional DESC, sequence, id
	LOOP
		kept := least(held, lot.remaining);
		held := held - kept;
		CONTINUE WHEN lot.expires_at IS NULL OR lot.expires_at > p_now OR lot.remaining = kept;
		account.sequence := account.sequence + 1;
		account.version := account.version + 1;
		INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after,
			app_id, description, metadata, created_at, completed_at)
		VALUES (gen_random_uuid()::text, p_user, account.sequence, 'expiry', kept - lot.remaining,
			account.balance, account.balance + kept - lot.remaining,
			'credits', 'Credits expired', jsonb_build_object('grantId', lot.transaction_id, 'expiresAt', lot.expires_at),
			p_now, p_now);
		account.balance := account.balance + kept - lot.remaining;
		account.total_spent := account.total_spent - kept + lot.remaining;
		UPDATE credits.lots SET remaining = kept, expired = expired + lot.remaining - kept
		WHERE id = lot.id;
	END LOOP;
	UPDATE credits.balances
	SET balance = account.balance, total_spent = account.total_spent, version = account.version,
	    sequence = account.sequence, updated_at = p_now,
	    next_expiry = (SELECT min(expires_at) FROM credits.lots WHERE user_id = p_user AND remaining > 0)
	WHERE user_id = p_user;
END $$;
