-- draw charges the lots with a reservation that is the only thing spent since they were charged last, and keeps
-- which lot gave how much: credits that leave an account for a gift stay those of their lots.
CREATE FUNCTION fn.draw(p_user text, p_entry text) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	owed bigint;
BEGIN
	SELECT unburnt INTO owed FROM credits.balances WHERE user_id = p_user;
	WITH taken AS (
		UPDATE credits.lots AS l
		SET remaining = l.remaining - t.take, given = l.given + t.take
		FROM (
			SELECT o.id, o.position, least(o.remaining, owed - o.before) AS take
			FROM (
				SELECT id, remaining, row_number() OVER w AS position, sum(remaining) OVER w - remaining AS before
				FROM credits.lots
				WHERE user_id = p_user AND remaining > 0
				WINDOW w AS (ORDER BY priority, expires_at NULLS LAST, promotional DESC, sequence, id)
			) AS o
			WHERE o.before < owed
		) AS t
		WHERE l.id = t.id
		RETURNING l.id, t.position, t.take
	)
	INSERT INTO credits.draws (transaction_id, position, user_id, lot_id, amount)
	SELECT p_entry, t.position, p_user, t.id, t.take FROM taken AS t;
	UPDATE credits.balances SET unburnt = 0 WHERE user_id = p_user;
END $$;
