-- unspend gives back to the budget of a key and the allotment of a member what comes back of a charge they made.
CREATE FUNCTION fn.unspend(p_charge text, p_amount bigint) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	charge record;
BEGIN
	SELECT t.user_id, t.spent_by, t.api_key_id, coalesce(h.created_at, t.created_at) AS at INTO charge
	FROM credits.transactions AS t LEFT JOIN credits.holds AS h ON h.id = t.hold_id
	WHERE t.id = p_charge;
	IF charge.api_key_id IS NOT NULL OR charge.spent_by IS NOT NULL THEN
		PERFORM credits.spend(charge.user_id, charge.spent_by, charge.api_key_id, -p_amount, charge.at);
	END IF;
END $$;
