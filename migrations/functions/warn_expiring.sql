-- warn_expiring tells the owners of up to p_limit accounts of what is left of lots that end within p_within, each lot
-- once, and returns how many accounts it looked at. A lot that was never to last longer is not told of, nor what rolls over.
CREATE FUNCTION fn.warn_expiring(p_limit int, p_within interval) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	account text;
	ending  record;
	n       bigint := 0;
BEGIN
	FOR account IN
		SELECT b.user_id FROM credits.balances AS b
		WHERE b.user_id IN (
			SELECT l.user_id FROM credits.lots AS l
			WHERE l.expires_at IS NOT NULL AND l.remaining > 0 AND NOT l.expiry_told AND l.expires_at <= now() + p_within
			ORDER BY l.expires_at LIMIT p_limit)
		ORDER BY b.user_id
		FOR UPDATE SKIP LOCKED
	LOOP
		n := n + 1;
		PERFORM fn.account(account); -- what is due ends first
		PERFORM fn.burn(account);
		WITH told AS (
			UPDATE credits.lots AS l SET expiry_told = true
			WHERE l.user_id = account AND l.expires_at IS NOT NULL AND NOT l.expiry_told AND l.expires_at <= now() + p_within
			RETURNING l.remaining, l.expires_at, l.rolls_to, l.rolls_over, l.expires_at - l.created_at > p_within AND l.expires_at > now() AS news
		), ending AS (
			SELECT sum(t.remaining) - coalesce(max(t.rolls_over), 0) AS credits, min(t.expires_at) AS first
			FROM told AS t WHERE t.news AND t.remaining > 0
			GROUP BY t.rolls_to)
		SELECT sum(e.credits)::bigint AS credits, min(e.first) AS first INTO ending FROM ending AS e WHERE e.credits > 0;
		IF ending.credits > 0 THEN
			PERFORM credits.alert(account, NULL, 'expiring', 'credits.expiring', NULL, jsonb_build_object('accountId', account,
				'credits', mana.credits(ending.credits), 'expiresAt', to_char(ending.first AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')));
		END IF;
	END LOOP;
	RETURN n;
END $$;
