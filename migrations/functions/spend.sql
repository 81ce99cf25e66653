-- spend adds to what a key and a member have spent of an account on the day of a charge; what comes back is less than
-- zero. Either may be NULL, and a key that is gone is passed over. The account must be locked.
CREATE FUNCTION fn.spend(p_account text, p_member text, p_key text, p_amount bigint, p_at timestamptz) RETURNS void
	LANGUAGE sql AS $$
	INSERT INTO credits.spending AS s (spender, account_id, day, amount)
	SELECT w.spender, p_account, (p_at AT TIME ZONE 'UTC')::date, p_amount
	FROM (
		SELECT k.spender FROM (SELECT 'key:' || a.id AS spender FROM auth.api_keys AS a WHERE a.id = p_key FOR KEY SHARE) AS k
		UNION ALL
		SELECT 'user:' || p_member WHERE p_member IS NOT NULL
	) AS w
	WHERE p_amount <> 0
	ON CONFLICT (spender, account_id, day) DO UPDATE SET amount = s.amount + excluded.amount;
$$;
