-- note_budget tells that the budget of an API key, or what is allotted to a member, did not cover a charge, once in its
-- period and for its size. p_refusal is what fn.limits said.
CREATE FUNCTION fn.note_budget(p_account text, p_spender text, p_key text, p_refusal text, p_at timestamptz) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	whose    text;
	budget   bigint;
	term     text;
	what     text;
	data     jsonb;
BEGIN
	IF p_refusal = 'key_insufficient' THEN
		SELECT k.user_id, k.budget_credits, k.budget_period INTO whose, budget, term FROM auth.api_keys AS k WHERE k.id = p_key;
		what := 'key:' || p_key;
		data := jsonb_build_object('keyId', p_key);
	ELSE
		SELECT p_spender, o.credits, o.period INTO whose, budget, term
		FROM credits.allotments AS o
		WHERE o.organization_id = substr(p_account, 5) AND (o.user_id = p_spender OR o.user_id IS NULL)
		ORDER BY o.user_id NULLS LAST
		LIMIT 1;
		what := 'member:' || p_account || ':' || p_spender;
		data := '{}';
	END IF;
	IF budget IS NULL THEN
		RETURN; -- to whom nothing is allotted, nothing is spent
	END IF;
	what := what || ':' || budget || ':' || CASE term WHEN 'total' THEN 'total' ELSE to_char(date_trunc(term, p_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') END;
	IF EXISTS (SELECT FROM credits.alerts AS l WHERE l.name = what) THEN
		RETURN;
	END IF;
	PERFORM credits.alert(p_account, whose, 'budget', 'budget.reached', what, data || jsonb_build_object('accountId', p_account, 'userId', whose,
		'budget', mana.credits(budget), 'period', term));
END $$;
