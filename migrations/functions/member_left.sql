-- member_left is what a member may spend of the account of an organisation in the period that p_at lies in: what their
-- allotment leaves, or that of all members where they have none. NULL is without bound, for owners and admins whom
-- nothing is allotted; no row is for who is no member. With the account locked nobody spends of it meanwhile.
CREATE FUNCTION fn.member_left(p_account text, p_member text, p_at timestamptz) RETURNS TABLE (credits_left bigint)
	LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY
	SELECT CASE
		WHEN a.credits IS NOT NULL THEN a.credits - fn.spent('user:' || m.user_id, p_account, a.period, p_at)
		WHEN m.role = 'member' THEN 0::bigint END
	FROM auth.members AS m
	LEFT JOIN LATERAL (
		SELECT o.credits, o.period
		FROM credits.allotments AS o
		WHERE o.organization_id = m.organization_id AND (o.user_id = m.user_id OR o.user_id IS NULL AND m.role = 'member')
		ORDER BY o.user_id NULLS LAST
		LIMIT 1) AS a ON true
	WHERE m.organization_id = substr(p_account, 5) AND m.user_id = p_member;
END $$;
