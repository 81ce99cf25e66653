-- compensate gives a charge back in full, once, if lots were not charged with it yet: then nothing but the balance has
-- to move. Any other charge is for the refund that restores its lots: 'elsewhere'.
CREATE FUNCTION fn.compensate(p_user text, p_entry text, p_charge text)
	RETURNS TABLE (outcome text, entry_id text,
		balance bigint, held bigint, debt bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	charge  credits.transactions;
	moment  timestamptz;
BEGIN
	SELECT * INTO account FROM fn.account(p_user);
	SELECT * INTO charge FROM credits.transactions AS t WHERE t.id = p_charge AND t.user_id = p_user;
	moment := clock_timestamp();
	IF charge.type = 'usage' AND charge.amount < 0 AND charge.sequence > account.burnt_through
		AND account.unburnt >= -charge.amount AND NOT account.loose_refunds
		AND NOT EXISTS (SELECT FROM credits.transactions AS t WHERE t.reverses = p_charge) THEN
		outcome := 'refunded'; entry_id := p_entry;
		INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
			operation, description, internal_key, reverses, spent_by, created_at, completed_at)
		VALUES (p_entry, p_user, account.sequence + 1, 'refund', -charge.amount, account.balance, account.balance - charge.amount,
			charge.app_id, charge.operation, left('Refund: ' || charge.description, 4096), 'compensation:' || p_charge, p_charge, charge.spent_by, moment, moment);
		IF charge.api_key_id IS NOT NULL OR charge.spent_by IS NOT NULL THEN
			PERFORM fn.unspend(p_charge, -charge.amount);
		END IF;
		UPDATE credits.balances AS b
		SET balance = b.balance - charge.amount, total_spent = b.total_spent + charge.amount, unburnt = b.unburnt + charge.amount,
		    version = b.version + 1, sequence = b.sequence + 1, updated_at = moment
		WHERE b.user_id = p_user;
		SELECT * INTO account FROM fn.account(p_user);
	ELSE
		outcome := 'elsewhere';
	END IF;
	balance := account.balance; held := account.held; debt := account.debt; total_earned := account.total_earned;
	total_spent := account.total_spent; version := account.version;
	created_at := account.created_at; updated_at := account.updated_at;
	RETURN NEXT;
END $$;
