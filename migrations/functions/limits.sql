-- limits says why a charge or reservation is refused for who makes it, whatever the account has: 'not_member' on the account of
-- an organisation, 'allotment_insufficient' or 'key_insufficient' with what is left, or nothing. The account must be locked.
CREATE FUNCTION fn.limits(p_account text, p_spender text, p_key text, p_amount bigint, p_at timestamptz,
	OUT refusal text, OUT credits_left bigint)
	LANGUAGE plpgsql AS $$
BEGIN
	IF starts_with(p_account, 'org:') THEN
		SELECT m.credits_left INTO credits_left FROM fn.member_left(p_account, p_spender, p_at) AS m;
		IF NOT FOUND THEN
			refusal := 'not_member';
			RETURN;
		ELSIF credits_left < p_amount THEN
			refusal := 'allotment_insufficient';
			RETURN;
		END IF;
	END IF;
	credits_left := NULL;
	IF p_key IS NOT NULL THEN
		credits_left := fn.key_left(p_key, p_at);
		IF credits_left < p_amount THEN
			refusal := 'key_insufficient';
		END IF;
	END IF;
END $$;
