-- pay_debt pays what an account owes with what it has available, the oldest debt first, a ledger row for each. A
-- debt that spares bought credits leaves lots that were bought alone, but for those of p_entry: the ledger row of what
-- comes in now. The account must be locked.
CREATE FUNCTION fn.pay_debt(p_user text, p_entry text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	owed    record;
	paid    bigint;
	moment  timestamptz;
	entry   text;
BEGIN
	SELECT * INTO account FROM credits.balances WHERE user_id = p_user;
	IF account.debt = 0 OR account.balance <= account.held THEN
		RETURN;
	END IF;
	FOR owed IN
		SELECT d.reference, bool_or(d.spares_bought) AS spares_bought, sum(d.amount)::bigint AS amount
		FROM credits.debts AS d
		WHERE d.user_id = p_user
		GROUP BY d.reference
		HAVING sum(d.amount) > 0
		ORDER BY min(d.created_at), d.reference
	LOOP
		paid := fn.take(p_user, least(owed.amount, account.balance - account.held), owed.spares_bought, p_entry);
		CONTINUE WHEN paid = 0;
		moment := clock_timestamp();
		entry := gen_random_uuid()::text;
		INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
			description, metadata, created_at, completed_at)
		VALUES (entry, p_user, account.sequence + 1, 'adjustment', -paid, account.balance, account.balance - paid, 'credits',
			'Debt paid', jsonb_build_object('debt', owed.reference), moment, moment);
		INSERT INTO credits.debts (user_id, reference, kind, amount, transaction_id, created_at)
		VALUES (p_user, owed.reference, 'paid', -paid, entry, moment);
		UPDATE credits.balances
		SET balance = balance - paid, total_earned = total_earned - paid, debt = debt - paid,
		    version = version + 1, sequence = sequence + 1, updated_at = moment
		WHERE user_id = p_user
		RETURNING * INTO account;
	END LOOP;
END $$;
