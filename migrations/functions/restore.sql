-- restore gives what a charge took back to the lots it came from, and to the budget of who made it, and pays what the account owes with it. p_charge
-- is NULL for a refund that names none: it goes to the lots last in the order of burning, as does what is no longer
-- charged to those it came from. p_entry is the ledger row of the refund, already written; what no lot was charged
-- with becomes one. The account must be locked, its lots burnt.
CREATE FUNCTION fn.restore(p_user text, p_entry text, p_charge text, p_amount bigint) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	owed bigint := p_amount;
	part record;
	n    bigint;
BEGIN
	PERFORM fn.unspend(p_charge, p_amount);
	FOR part IN
		SELECT d.position, d.lot_id, d.amount - d.passed_on - d.returned AS amount
		FROM credits.draws AS d
		WHERE d.transaction_id = p_charge AND d.amount > d.passed_on + d.returned
		ORDER BY d.position DESC
	LOOP
		EXIT WHEN owed = 0;
		n := least(owed, part.amount);
		UPDATE credits.draws SET returned = returned + n WHERE transaction_id = p_charge AND position = part.position;
		PERFORM fn.put_back(p_entry, part.lot_id, 0, n);
		owed := owed - n;
	END LOOP;
	FOR part IN SELECT c.lot_id, c.amount FROM fn.charged(p_user, p_entry, p_charge, owed) AS c LOOP
		SELECT least(part.amount, l.burnt) INTO n FROM credits.lots AS l WHERE l.id = part.lot_id;
		CONTINUE WHEN n = 0;
		PERFORM fn.put_back(p_entry, part.lot_id, n, 0);
		owed := owed - n;
	END LOOP;
	FOR part IN
		SELECT l.id, l.burnt FROM credits.lots AS l
		WHERE l.user_id = p_user AND l.burnt > 0 AND owed > 0
		ORDER BY l.priority DESC, l.expires_at DESC NULLS FIRST, l.promotional, l.sequence DESC, l.id DESC
	LOOP
		EXIT WHEN owed = 0;
		n := least(owed, part.burnt);
		PERFORM fn.put_back(p_entry, part.id, n, 0);
		owed := owed - n;
	END LOOP;
	IF owed > 0 THEN
		INSERT INTO credits.lots (transaction_id, user_id, sequence, source, granted, remaining, created_at)
		SELECT t.id, t.user_id, t.sequence, 'refund', owed, owed, t.created_at
		FROM credits.transactions AS t
		WHERE t.id = p_entry;
	END IF;
	UPDATE credits.balances
	SET next_expiry = (SELECT min(l.expires_at) FROM credits.lots AS l WHERE l.user_id = p_user AND l.remaining > 0)
	WHERE user_id = p_user;
	PERFORM fn.account(p_user);
END $$;
