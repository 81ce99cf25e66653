-- key_spent is what a key has spent in the period of its budget that p_at lies in, or ever where it has none.
CREATE FUNCTION credits.key_spent(p_key text, p_at timestamptz) RETURNS bigint
	LANGUAGE sql AS $$
	SELECT coalesce(sum(s.amount), 0)::bigint
	FROM auth.api_keys AS k
	JOIN credits.key_spending AS s ON s.api_key_id = k.id
	WHERE k.id = p_key AND s.day >= CASE k.budget_period
		WHEN 'day' THEN (p_at AT TIME ZONE 'UTC')::date
		WHEN 'month' THEN date_trunc('month', p_at AT TIME ZONE 'UTC')::date
		ELSE '-infinity' END;
$$;
