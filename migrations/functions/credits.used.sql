-- used notes one use by a user, app and operation.
CREATE FUNCTION credits.used(p_user text, p_app text, p_operation text, p_amount bigint) RETURNS void
	LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO credits.usage_stats AS u (user_id, app_id, operation, date, credits_used, requests)
	VALUES (p_user, p_app, p_operation, (now() AT TIME ZONE 'UTC')::date, p_amount, 1)
	ON CONFLICT (user_id, app_id, operation, date) DO UPDATE
	SET credits_used = u.credits_used + excluded.credits_used, requests = u.requests + excluded.requests;
END $$;
