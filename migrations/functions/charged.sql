-- charged says which lots a refund p_entry of p_amount gives back to: those that the charge was burnt from, the last
-- of them first, beyond what came back of it before. A burning is one run over the lots for all that was spent since
-- the one before, in the order of the ledger.
CREATE FUNCTION fn.charged(p_user text, p_entry text, p_charge text, p_amount bigint)
	RETURNS TABLE (lot_id text, amount bigint)
	LANGUAGE plpgsql AS $$
DECLARE
	charge credits.transactions;
	run    bigint;
	prior  bigint;
	lots   bigint;
	top    bigint;
BEGIN
	SELECT * INTO charge FROM credits.transactions AS t WHERE t.id = p_charge AND t.user_id = p_user;
	SELECT min(b.through) INTO run FROM credits.burns AS b WHERE b.user_id = p_user AND b.through >= charge.sequence;
	SELECT count(*) INTO lots FROM credits.burns AS b WHERE b.user_id = p_user AND b.through = run;
	IF lots = 0 OR EXISTS (SELECT FROM credits.draws AS d WHERE d.transaction_id = p_charge) THEN
		RETURN;
	END IF;
	IF lots = 1 THEN
		RETURN QUERY SELECT b.lot_id, p_amount FROM credits.burns AS b WHERE b.user_id = p_user AND b.through = run;
		RETURN;
	END IF;
	SELECT coalesce(max(b.through), 0) INTO prior FROM credits.burns AS b WHERE b.user_id = p_user AND b.through < run;
	SELECT sum(CASE WHEN t.amount < 0 THEN -t.amount
	           WHEN t.sequence <= run OR c.id = p_charge AND t.id <> p_entry THEN -t.amount ELSE 0 END) INTO top
	FROM credits.transactions AS c
	JOIN credits.transactions AS t ON t.id = c.id OR t.reverses = c.id
	WHERE c.user_id = p_user AND t.user_id = p_user AND c.sequence > prior AND c.sequence <= charge.sequence
	  AND c.amount < 0 AND c.type IN ('usage', 'gift')
	  AND NOT EXISTS (SELECT FROM credits.draws AS d WHERE d.transaction_id = c.id);
	RETURN QUERY
	SELECT b.lot_id, least(top, b.first + b.amount) - greatest(top - p_amount, b.first)
	FROM credits.burns AS b
	WHERE b.user_id = p_user AND b.through = run AND b.first < top AND b.first + b.amount > top - p_amount
	ORDER BY b.first DESC;
END $$;
