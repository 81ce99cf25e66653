-- key_return gives back to the budget of a key what comes back of a charge that was made by one.
CREATE FUNCTION credits.key_return(p_charge text, p_amount bigint) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	charge record;
BEGIN
	SELECT t.api_key_id, coalesce(h.created_at, t.created_at) AS at INTO charge
	FROM credits.transactions AS t LEFT JOIN credits.holds AS h ON h.id = t.hold_id
	WHERE t.id = p_charge;
	IF charge.api_key_id IS NOT NULL THEN
		PERFORM credits.key_spend(charge.api_key_id, -p_amount, charge.at);
	END IF;
END $$;
