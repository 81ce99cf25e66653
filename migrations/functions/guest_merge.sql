-- guest_merge takes all that is left of a wallet on a day, for an account, and returns how much that is: zero of a wallet that has
-- spent nothing on the day or the two before, or that went to an account before. It counts for the address, which is that of who
-- signs up, and for all guests, so that neither has more than without accounts.
CREATE FUNCTION fn.guest_merge(p_day date, p_address bytea, p_device bytea) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	wallet credits.guest_days;
	amount bigint;
BEGIN
	SELECT * INTO wallet FROM credits.guest_days AS g
	WHERE g.day BETWEEN p_day - 2 AND p_day AND g.kind = 'device' AND g.subject = p_device
	ORDER BY g.day DESC LIMIT 1;
	IF NOT FOUND OR EXISTS (SELECT FROM credits.guest_promises AS o WHERE o.wallet = p_device) THEN
		RETURN 0;
	END IF;
	LOOP
		SELECT l.credits_left INTO amount
		FROM fn.guest_left(p_day, p_address, p_device, wallet.per_address, wallet.allowance, wallet.total) AS l;
		IF amount = 0 THEN
			RETURN 0;
		END IF;
		IF (SELECT t.refusal IS NULL FROM fn.guest_take(p_day, p_address, p_device, amount, wallet.per_address, wallet.allowance,
			wallet.total, true) AS t) THEN
			UPDATE credits.guest_days AS g SET merged = true WHERE g.day = p_day AND g.kind = 'device' AND g.subject = p_device;
			RETURN amount;
		END IF;
	END LOOP;
END $$;
