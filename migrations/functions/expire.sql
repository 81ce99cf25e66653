-- expire takes what is left of lots whose time is over, a ledger row for each. As much as open holds reserve
-- stays, until they are resolved. What rolls over stays too, and has its new end once no hold reserves of it: of lots
-- that roll to the same end, the last to be used go first.
CREATE FUNCTION fn.expire(p_user text, p_now timestamptz) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	lot     record;
	gone    bigint;
BEGIN
	PERFORM fn.burn(p_user);
	SELECT * INTO account FROM credits.balances WHERE user_id = p_user;
	FOR lot IN
		SELECT l.id, l.transaction_id, l.remaining, l.expires_at, l.kept,
			CASE WHEN l.rolls_to > p_now THEN greatest(0, least(l.remaining - l.kept, l.rolls_over
				- coalesce(sum(l.remaining - l.kept) OVER (
					PARTITION BY l.rolls_to
					ORDER BY l.priority DESC, l.expires_at DESC, l.promotional, l.sequence DESC, l.id DESC
					ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
				- (SELECT coalesce(sum(o.remaining), 0) FROM credits.lots AS o
				   WHERE o.user_id = p_user AND o.rolled AND o.expires_at = l.rolls_to)))
			ELSE 0 END::bigint AS rolls
		FROM (
			SELECT o.*, greatest(0, least(o.remaining, account.held + o.remaining - sum(o.remaining) OVER (
				ORDER BY o.priority, o.expires_at NULLS LAST, o.promotional DESC, o.sequence, o.id)))::bigint AS kept
			FROM credits.lots AS o
			WHERE o.user_id = p_user AND o.remaining > 0
		) AS l
		WHERE l.expires_at <= p_now
		ORDER BY l.priority, l.expires_at, l.promotional DESC, l.sequence, l.id
	LOOP
		gone := lot.remaining - lot.kept - lot.rolls;
		IF gone > 0 THEN
			account.sequence := account.sequence + 1;
			account.version := account.version + 1;
			INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after,
				app_id, description, metadata, created_at, completed_at)
			VALUES (gen_random_uuid()::text, p_user, account.sequence, 'expiry', -gone, account.balance, account.balance - gone,
				'credits', 'Credits expired', jsonb_build_object('grantId', lot.transaction_id, 'expiresAt', lot.expires_at),
				p_now, p_now);
			account.balance := account.balance - gone;
			account.total_spent := account.total_spent + gone;
			UPDATE credits.lots SET remaining = remaining - gone, expired = expired + gone
			WHERE id = lot.id;
		END IF;
		IF lot.rolls > 0 AND lot.kept = 0 THEN
			UPDATE credits.lots SET expires_at = rolls_to, rolls_to = NULL, rolls_over = NULL, rolled = true, expiry_told = false
			WHERE id = lot.id;
		END IF;
	END LOOP;
	UPDATE credits.balances
	SET balance = account.balance, total_spent = account.total_spent, version = account.version,
	    sequence = account.sequence, updated_at = p_now,
	    next_expiry = (SELECT min(expires_at) FROM credits.lots WHERE user_id = p_user AND remaining > 0)
	WHERE user_id = p_user;
END $$;
