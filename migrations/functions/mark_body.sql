-- mark_body replaces what is known of the body that a hold's key stands for, unless that is not p_was any more, and
-- returns what is known then. It touches nothing that the account's row guards.
CREATE FUNCTION fn.mark_body(p_hold text, p_was bytea, p_body bytea) RETURNS bytea
	LANGUAGE plpgsql AS $$
DECLARE
	known bytea;
BEGIN
	SELECT h.body INTO known FROM credits.holds AS h WHERE h.id = p_hold FOR UPDATE;
	IF FOUND AND known IS NOT DISTINCT FROM p_was THEN
		UPDATE credits.holds AS h SET body = p_body WHERE h.id = p_hold;
		known := p_body;
	END IF;
	RETURN known;
END $$;
