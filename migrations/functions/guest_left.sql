-- guest_left is what a guest may still spend on a day, and of what there is the least: 'device', 'address' or 'all'. p_device is
-- NULL where it has spent nothing yet, p_total where there is no bound for all guests. It locks nothing.
CREATE FUNCTION fn.guest_left(p_day date, p_address bytea, p_device bytea, p_per_address bigint, p_allowance bigint, p_total bigint,
	OUT short text, OUT credits_left bigint)
	LANGUAGE sql STABLE AS $$
	SELECT w.kind, greatest(CASE WHEN g.merged THEN 0 ELSE w.most - coalesce(g.spent, 0) END, 0)
	FROM unnest(ARRAY['device', 'address', 'all'], ARRAY[p_device, p_address, ''::bytea], ARRAY[p_allowance, p_per_address, p_total])
		WITH ORDINALITY AS w (kind, subject, most, n)
	LEFT JOIN credits.guest_days AS g ON g.day = p_day AND g.kind = w.kind AND g.subject = w.subject
	WHERE w.most IS NOT NULL
	ORDER BY 2, w.n
	LIMIT 1;
$$;
