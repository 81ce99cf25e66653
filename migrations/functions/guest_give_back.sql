-- guest_give_back gives back what a guest has taken on a day and not spent; p_total is NULL where it was not taken from all
-- guests. A wallet that was merged since gets nothing back: what was left of it has gone to an account. The commit does not
-- wait for the disk, as that of guest_take.
CREATE FUNCTION fn.guest_give_back(p_day date, p_address bytea, p_device bytea, p_amount bigint, p_per_address bigint, p_allowance bigint,
	p_total bigint) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	kinds    CONSTANT text[] := ARRAY['address', 'device', 'all'];
	subjects CONSTANT bytea[] := ARRAY[p_address, p_device, ''::bytea];
BEGIN
	PERFORM set_config('synchronous_commit', 'off', true);
	FOR i IN 1 .. CASE WHEN p_total IS NULL THEN 2 ELSE 3 END LOOP
		UPDATE credits.guest_days AS g SET spent = greatest(g.spent - p_amount, 0)
		WHERE g.day = p_day AND g.kind = kinds[i] AND g.subject = subjects[i];
	END LOOP;
	RETURN (SELECT l.credits_left FROM fn.guest_left(p_day, p_address, p_device, p_per_address, p_allowance, p_total) AS l);
END $$;
