-- burn charges the lots with what was spent since the last time, in the order of their use: priority,
-- earliest expiry, promotional before paid, oldest. Between two events that change lots their order stands
-- still, so charging them late comes to the same as charging them at every debit.
CREATE FUNCTION credits.burn(p_user text) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	owed bigint;
BEGIN
	SELECT unburnt INTO owed FROM credits.balances WHERE user_id = p_user;
	IF owed = 0 THEN
		RETURN;
	END IF;
	UPDATE credits.lots AS l
	SET remaining = l.remaining - t.take, burnt = l.burnt + t.take
	FROM (
		SELECT o.transaction_id, least(o.remaining, owed - o.before) AS take
		FROM (
			SELECT transaction_id, remaining,
			       sum(remaining) OVER (ORDER BY priority, expires_at NULLS LAST, promotional DESC, sequence) - remaining AS before
			FROM credits.lots
			WHERE user_id = p_user AND remaining > 0
		) AS o
		WHERE o.before < owed
	) AS t
	WHERE l.transaction_id = t.transaction_id;
	UPDATE credits.balances SET unburnt = 0, burnt_through = sequence WHERE user_id = p_user;
END $$;
