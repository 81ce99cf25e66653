-- expire_due expires the lots of up to p_limit accounts whose time is over, and returns how many accounts.
CREATE FUNCTION fn.expire_due(p_limit int) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	account text;
	n       bigint := 0;
BEGIN
	FOR account IN
		SELECT b.user_id FROM credits.balances AS b
		WHERE b.held = 0 AND b.next_expiry <= now() AND b.user_id IN (
			SELECT l.user_id FROM credits.lots AS l
			JOIN credits.balances AS idle USING (user_id)
			WHERE l.expires_at <= now() AND l.remaining > 0 AND idle.held = 0
			ORDER BY l.expires_at LIMIT p_limit)
		ORDER BY b.user_id
		FOR UPDATE SKIP LOCKED
	LOOP
		PERFORM fn.expire(account, clock_timestamp());
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;
