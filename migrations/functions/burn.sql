-- burn charges the lots with what was spent since the last time, in the order of their use: priority,
-- earliest expiry, promotional before paid, oldest. Between two events that change lots their order stands
-- still, so charging them late comes to the same as charging them at every debit. credits.burns keeps which lot
-- paid for which rows of the ledger.
CREATE FUNCTION fn.burn(p_user text) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	owed    bigint;
	through bigint;
BEGIN
	SELECT unburnt, sequence INTO owed, through FROM credits.balances WHERE user_id = p_user;
	IF owed = 0 THEN
		RETURN;
	END IF;
	WITH taken AS (
		UPDATE credits.lots AS l
		SET remaining = l.remaining - t.take, burnt = l.burnt + t.take
		FROM (
			SELECT o.id, o.before, least(o.remaining, owed - o.before) AS take
			FROM (
				SELECT id, remaining,
				       sum(remaining) OVER (ORDER BY priority, expires_at NULLS LAST, promotional DESC, sequence, id) - remaining AS before
				FROM credits.lots
				WHERE user_id = p_user AND remaining > 0
			) AS o
			WHERE o.before < owed
		) AS t
		WHERE l.id = t.id
		RETURNING l.id, t.before, t.take
	)
	INSERT INTO credits.burns (user_id, through, first, lot_id, amount)
	SELECT p_user, through, t.before, t.id, t.take FROM taken AS t;
	UPDATE credits.balances SET unburnt = 0, burnt_through = sequence WHERE user_id = p_user;
END $$;
