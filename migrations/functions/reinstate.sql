-- reinstate gives credits again that were clawed back from a lot of the account of the ledger row p_entry. Where the
-- lot's time is over meanwhile, or it has others' in their place, they are a lot of their own, with 72 hours in the
-- first case. p_root is the lot of the grant that was reversed; both are NULL where it was granted before there were
-- lots.
CREATE FUNCTION fn.reinstate(p_entry text, p_lot text, p_root text, p_amount bigint) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	lot    credits.lots;
	back   bigint := 0;
	moment CONSTANT timestamptz := clock_timestamp();
BEGIN
	SELECT * INTO lot FROM credits.lots WHERE id = p_lot;
	IF p_lot <> p_root THEN -- of a gift of the grant's credits
		UPDATE credits.lots
		SET given = given + least(clawed_back, p_amount), clawed_back = clawed_back - least(clawed_back, p_amount)
		WHERE id = p_root;
	END IF;
	IF lot.expires_at IS NULL OR lot.expires_at > moment THEN
		back := least(p_amount, coalesce(lot.clawed_back, 0));
		UPDATE credits.lots SET remaining = remaining + back, clawed_back = clawed_back - back WHERE id = p_lot;
	ELSE
		UPDATE credits.lots
		SET expired = expired + least(clawed_back, p_amount), clawed_back = clawed_back - least(clawed_back, p_amount)
		WHERE id = p_lot;
	END IF;
	IF back < p_amount THEN
		INSERT INTO credits.lots (transaction_id, user_id, sequence, source, priority, granted, remaining, expires_at, created_at, parent, prolonged)
		SELECT t.id, t.user_id, t.sequence, coalesce(lot.source, 'purchase'), coalesce(lot.priority, 0), p_amount - back, p_amount - back,
		       CASE WHEN lot.expires_at <= moment THEN moment + interval '72 hours' ELSE lot.expires_at END, moment, lot.id,
		       coalesce(lot.expires_at <= moment, false)
		FROM credits.transactions AS t
		WHERE t.id = p_entry;
	END IF;
END $$;
