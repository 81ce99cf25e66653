-- spent is what a spender has spent of an account, or with NULL of all, in the period that p_at lies in; ever for any
-- other than day and month. A spender is key:<id of an API key> or user:<id of a member>.
CREATE FUNCTION fn.spent(p_spender text, p_account text, p_period text, p_at timestamptz) RETURNS bigint
	LANGUAGE sql AS $$
	SELECT coalesce(sum(s.amount), 0)::bigint
	FROM credits.spending AS s
	WHERE s.spender = p_spender AND (p_account IS NULL OR s.account_id = p_account) AND s.day >= CASE p_period
		WHEN 'day' THEN (p_at AT TIME ZONE 'UTC')::date
		WHEN 'month' THEN date_trunc('month', p_at AT TIME ZONE 'UTC')::date
		ELSE '-infinity' END;
$$;
