-- roll_up_usage adds up the usage of up to p_limit ledger rows into usage_stats, and returns how many rows it looked at.
-- It goes through the ledger by id, which orders by time, and leaves out what is younger than p_margin, as an older
-- row may still be on its way; what it passes over all the same is added when its account comes up again. An account's watermark
-- moves with its statistics, so that whoever adds the rows beyond it is always exact.
CREATE FUNCTION fn.roll_up_usage(p_limit int, p_margin interval) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	position text;
	accounts text[];
	last     text;
	n        bigint;
BEGIN
	IF NOT pg_try_advisory_xact_lock(hashtext('credits.usage_stats')) THEN
		RETURN 0;
	END IF;
	INSERT INTO credits.job_positions (job, after) VALUES ('usage', '') ON CONFLICT DO NOTHING;
	SELECT p.after INTO position FROM credits.job_positions AS p WHERE p.job = 'usage';
	SELECT array_agg(DISTINCT t.user_id), max(t.id COLLATE "C"), count(*) INTO accounts, last, n
	FROM (
		SELECT t.id, t.user_id FROM credits.transactions AS t
		WHERE t.id > position AND t.created_at < now() - p_margin
		ORDER BY t.id LIMIT p_limit
	) AS t;
	IF n = 0 THEN
		RETURN 0;
	END IF;
	WITH beyond AS (
		SELECT a.user_id, coalesce(w.sequence, 0) AS low, least(b.sequence, coalesce(w.sequence, 0) + 100000) AS high
		FROM unnest(accounts) AS a (user_id)
		JOIN credits.balances AS b ON b.user_id = a.user_id
		LEFT JOIN credits.usage_watermarks AS w ON w.user_id = a.user_id
	), moved AS (
		INSERT INTO credits.usage_watermarks AS w (user_id, sequence)
		SELECT y.user_id, y.high FROM beyond AS y WHERE y.high > y.low
		ON CONFLICT (user_id) DO UPDATE SET sequence = excluded.sequence
	)
	INSERT INTO credits.usage_stats AS u (user_id, app_id, operation, date, credits_used, credits_refunded, requests)
	SELECT y.user_id, r.app_id, r.operation, r.date, sum(r.used), sum(r.refunded), sum(r.requests)
	FROM beyond AS y, fn.usage_rows(y.user_id, y.low, y.high) AS r
	GROUP BY 1, 2, 3, 4
	ON CONFLICT (user_id, app_id, operation, date) DO UPDATE
	SET credits_used = u.credits_used + excluded.credits_used, credits_refunded = u.credits_refunded + excluded.credits_refunded,
	    requests = u.requests + excluded.requests;
	UPDATE credits.job_positions AS p SET after = last WHERE p.job = 'usage';
	RETURN n;
END $$;
