-- guest_take takes free credits of a guest from what their address, their device and all guests have left on a day, or from none
-- of them: then refusal says which has less, 'device', 'address' or 'all'. credits_left is what is left. Counters are locked in
-- this order, by guest_give_back and guest_merge too. Who is refused leaves no row, so that strangers cannot fill the table.
--
-- Without p_durable the commit does not wait for the disk: what a crash forgets are free credits, which nobody paid.
CREATE FUNCTION fn.guest_take(p_day date, p_address bytea, p_device bytea, p_amount bigint, p_per_address bigint, p_allowance bigint,
	p_total bigint, p_durable boolean, OUT refusal text, OUT credits_left bigint)
	LANGUAGE plpgsql AS $$
DECLARE
	kinds    CONSTANT text[] := ARRAY['address', 'device', 'all'];
	subjects CONSTANT bytea[] := ARRAY[p_address, p_device, ''::bytea];
	most     CONSTANT bigint[] := ARRAY[p_per_address, p_allowance, p_total];
	short    text;
	taken    int;
BEGIN
	IF NOT p_durable THEN
		PERFORM set_config('synchronous_commit', 'off', true);
	END IF;
	LOOP
		SELECT l.short, l.credits_left INTO short, credits_left
		FROM fn.guest_left(p_day, p_address, p_device, p_per_address, p_allowance, p_total) AS l;
		IF credits_left < p_amount THEN
			refusal := short;
			RETURN;
		END IF;
		taken := 0;
		FOR i IN 1 .. 3 LOOP
			IF most[i] IS NOT NULL THEN
				INSERT INTO credits.guest_days AS g (day, kind, subject, spent, allowance, per_address, total)
				VALUES (p_day, kinds[i], subjects[i], p_amount, CASE kinds[i] WHEN 'device' THEN p_allowance END,
					CASE kinds[i] WHEN 'device' THEN p_per_address END, CASE kinds[i] WHEN 'device' THEN p_total END)
				ON CONFLICT (day, kind, subject) DO UPDATE
				SET spent = g.spent + p_amount,
				    allowance = CASE WHEN excluded.allowance > g.allowance THEN excluded.allowance ELSE g.allowance END,
				    per_address = CASE WHEN excluded.allowance > g.allowance THEN excluded.per_address ELSE g.per_address END,
				    total = CASE WHEN excluded.allowance > g.allowance THEN excluded.total ELSE g.total END
				WHERE NOT g.merged AND g.spent + p_amount <= most[i];
				EXIT WHEN NOT FOUND;
			END IF;
			taken := i;
		END LOOP;
		IF taken = 3 THEN
			credits_left := (SELECT l.credits_left FROM fn.guest_left(p_day, p_address, p_device, p_per_address, p_allowance, p_total) AS l);
			RETURN;
		END IF;
		FOR i IN 1 .. taken LOOP -- somebody was quicker at the next
			UPDATE credits.guest_days AS g SET spent = g.spent - p_amount
			WHERE g.day = p_day AND g.kind = kinds[i] AND g.subject = subjects[i];
		END LOOP;
	END LOOP;
END $$;
