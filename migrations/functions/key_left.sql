-- key_left is what the budget of a key leaves in the period that p_at lies in, NULL where it has no budget. With the
-- account of its user locked, and the key too if it is an organisation's, nobody spends of it meanwhile.
CREATE FUNCTION fn.key_left(p_key text, p_at timestamptz) RETURNS bigint
	LANGUAGE plpgsql AS $$
BEGIN
	RETURN (
		SELECT k.budget_credits - fn.spent('key:' || k.id, NULL, k.budget_period, p_at)
		FROM auth.api_keys AS k
		WHERE k.id = p_key AND k.budget_credits IS NOT NULL);
END $$;
