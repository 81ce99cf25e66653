-- reap gives back expired holds of up to p_limit accounts that nobody else is busy with, and returns how many.
CREATE FUNCTION fn.reap(p_limit int) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	account text;
	hold    text;
	n       bigint := 0;
BEGIN
	FOR account IN
		SELECT b.user_id FROM credits.balances AS b
		WHERE b.user_id IN (
			SELECT h.user_id FROM credits.holds AS h
			WHERE h.state = 'open' AND h.expires_at <= now()
			ORDER BY h.expires_at LIMIT p_limit)
		ORDER BY b.user_id
		FOR UPDATE SKIP LOCKED
	LOOP
		FOR hold IN
			SELECT h.id FROM credits.holds AS h
			WHERE h.user_id = account AND h.state = 'open' AND h.expires_at <= now()
		LOOP
			PERFORM fn.expire_hold(hold, clock_timestamp());
			n := n + 1;
		END LOOP;
		PERFORM fn.account(account); -- what came back pays what is owed
	END LOOP;
	RETURN n;
END $$;
