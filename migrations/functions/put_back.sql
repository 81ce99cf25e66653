-- put_back gives a lot credits again that it was charged with, or gave. Where its time is over meanwhile they have
-- 72 hours, as a lot of their own that the ledger row p_entry makes; those that had that before have had their time.
CREATE FUNCTION fn.put_back(p_entry text, p_lot text, p_burnt bigint, p_given bigint) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	lot    credits.lots;
	back   CONSTANT bigint := p_burnt + p_given;
	moment CONSTANT timestamptz := clock_timestamp();
BEGIN
	SELECT * INTO lot FROM credits.lots WHERE id = p_lot;
	IF lot.expires_at IS NULL OR lot.expires_at > moment OR lot.prolonged THEN
		UPDATE credits.lots
		SET remaining = remaining + back, burnt = burnt - p_burnt, given = given - p_given
		WHERE id = p_lot;
	ELSE
		UPDATE credits.lots
		SET expired = expired + back, burnt = burnt - p_burnt, given = given - p_given
		WHERE id = p_lot;
		INSERT INTO credits.lots (transaction_id, user_id, sequence, source, priority, granted, remaining, expires_at, created_at, parent, prolonged)
		SELECT t.id, t.user_id, t.sequence, lot.source, lot.priority, back, back, moment + interval '72 hours', moment, lot.id, true
		FROM credits.transactions AS t
		WHERE t.id = p_entry;
	END IF;
END $$;
