-- usage_left is what an app has charged a user in all and not given back: the statistics, and the ledger beyond them.
CREATE FUNCTION fn.usage_left(p_user text, p_app text) RETURNS bigint
	LANGUAGE plpgsql STABLE AS $$
DECLARE
	added  bigint;
	beyond bigint;
BEGIN
	SELECT coalesce(sum(u.credits_used - u.credits_refunded), 0) INTO added
	FROM credits.usage_stats AS u
	WHERE u.user_id = p_user AND u.app_id = p_app;
	SELECT coalesce(sum(r.used - r.refunded), 0) INTO beyond
	FROM fn.usage_rows(p_user,
		coalesce((SELECT w.sequence FROM credits.usage_watermarks AS w WHERE w.user_id = p_user), 0), 9223372036854775807) AS r
	WHERE r.app_id = p_app;
	RETURN added + beyond;
END $$;
