-- key_spend adds to what a key has spent on the day of a charge; what comes back is less than zero. A key that is gone
-- is passed over. The account of the key's user must be locked.
CREATE FUNCTION credits.key_spend(p_key text, p_amount bigint, p_at timestamptz) RETURNS void
	LANGUAGE sql AS $$
	INSERT INTO credits.key_spending AS s (api_key_id, day, user_id, amount)
	SELECT k.id, (p_at AT TIME ZONE 'UTC')::date, k.user_id, p_amount
	FROM auth.api_keys AS k
	WHERE k.id = p_key AND p_amount <> 0
	FOR KEY SHARE
	ON CONFLICT (api_key_id, day) DO UPDATE SET amount = s.amount + excluded.amount;
$$;
