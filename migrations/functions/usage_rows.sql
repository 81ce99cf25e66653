-- usage_rows is what the ledger rows of an account after p_low up to p_high are in usage_stats. A refund counts for the
-- app and operation of its charge, on the day it was made.
CREATE FUNCTION fn.usage_rows(p_user text, p_low bigint, p_high bigint)
	RETURNS TABLE (app_id text, operation text, date date, used bigint, refunded bigint, requests bigint)
	LANGUAGE sql STABLE AS $$
	SELECT coalesce(c.app_id, t.app_id), coalesce(c.operation, t.operation), (t.created_at AT TIME ZONE 'UTC')::date,
	       CASE WHEN t.type = 'usage' THEN -t.amount ELSE 0 END,
	       CASE WHEN t.type = 'refund' THEN t.amount ELSE 0 END,
	       (t.type = 'usage')::int::bigint
	FROM credits.transactions AS t
	LEFT JOIN credits.transactions AS c ON c.id = t.reverses
	WHERE t.user_id = p_user AND t.sequence > p_low AND t.sequence <= p_high
	  AND (t.type = 'usage' OR t.type = 'refund' AND coalesce(c.type, 'usage') = 'usage')
$$;
