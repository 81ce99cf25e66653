-- take burns lots for at most p_amount that was not spent but is owed, those of the ledger row p_entry first, and
-- returns how much that was. With p_spare lots that were bought are left alone, but for those. The caller writes the ledger row, and
-- sees to it that nothing held is taken.
CREATE FUNCTION fn.take(p_user text, p_amount bigint, p_spare boolean, p_entry text DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	taken bigint;
BEGIN
	PERFORM fn.burn(p_user);
	WITH burnt AS (
		UPDATE credits.lots AS l
		SET remaining = l.remaining - t.take, burnt = l.burnt + t.take
		FROM (
			SELECT o.id, least(o.remaining, p_amount - o.before) AS take
			FROM (
				SELECT id, remaining,
				       sum(remaining) OVER (ORDER BY coalesce(transaction_id = p_entry, false) DESC, priority, expires_at NULLS LAST, promotional DESC,
				           sequence, id) - remaining AS before
				FROM credits.lots
				WHERE user_id = p_user AND remaining > 0 AND (NOT p_spare OR source <> 'purchase' OR transaction_id = p_entry)
			) AS o
			WHERE o.before < p_amount
		) AS t
		WHERE l.id = t.id
		RETURNING t.take
	)
	SELECT coalesce(sum(b.take), 0) INTO taken FROM burnt AS b;
	RETURN taken;
END $$;
