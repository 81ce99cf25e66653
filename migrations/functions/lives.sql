-- lives reports whether whose account it is, is there: a user who has not left, or an organisation.
CREATE FUNCTION fn.lives(p_account text) RETURNS boolean
	LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN starts_with(p_account, 'org:')
		THEN EXISTS (SELECT FROM auth.organizations AS o WHERE o.id = substr(p_account, 5))
		ELSE EXISTS (SELECT FROM auth.users AS u WHERE u.id = p_account AND u.deleted_at IS NULL) END;
$$;
