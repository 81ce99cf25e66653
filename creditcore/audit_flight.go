package creditcore

// auditFlightSQL is the part of the audit that looks after edges that are gone:
// a minute later nothing that they had in flight is charged any more.
const auditFlightSQL = `
UNION ALL
	SELECT 'what an edge left in flight came back', t.user_id, t.id
	FROM credits.edges AS e
	JOIN credits.transactions AS t ON t.edge = e.id AND (t.id > e.horizon OR t.id = ANY (e.open))
	WHERE e.seen_at < clock_timestamp() - interval '1 minute' AND t.amount < 0
	  AND NOT EXISTS (SELECT FROM credits.transactions AS r WHERE r.reverses = t.id)
UNION ALL
	SELECT 'usage is added up to a row of the ledger', w.user_id, format('row %s of %s', w.sequence, b.sequence)
	FROM credits.usage_watermarks AS w JOIN credits.balances AS b USING (user_id)
	WHERE w.sequence > b.sequence`
