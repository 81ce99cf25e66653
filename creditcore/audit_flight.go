package creditcore

import "mana.how/edge/migrations/functions"

// auditFlightSQL is the part of the audit that looks after edges that are gone:
// a minute later nothing that they had in flight is charged any more.
var auditFlightSQL = `
UNION ALL
	SELECT 'what an edge left in flight came back', t.user_id, t.id
	FROM credits.edges AS e
	JOIN credits.transactions AS t ON t.edge = e.id AND (t.id > e.horizon OR t.id = ANY (e.open))
	WHERE e.seen_at < clock_timestamp() - interval '1 minute' AND t.amount < 0
	  AND NOT EXISTS (SELECT FROM credits.transactions AS r WHERE r.reverses = t.id)
UNION ALL
	SELECT 'usage is added up to a row of the ledger', w.user_id, format('row %s of %s', w.sequence, b.sequence)
	FROM credits.usage_watermarks AS w JOIN credits.balances AS b USING (user_id)
	WHERE w.sequence > b.sequence` + auditKeysSQL

// auditKeysSQL is the part that compares what keys have spent with the ledger.
var auditKeysSQL = `
UNION ALL
	SELECT 'a key has spent what it was charged', k.user_id, format('key %s spent %s, ledger %s', k.id, coalesce(s.amount, 0), coalesce(l.amount, 0))
	FROM auth.api_keys AS k
	LEFT JOIN (SELECT spender, sum(amount) AS amount FROM credits.spending GROUP BY 1) AS s ON s.spender = 'key:' || k.id
	LEFT JOIN (
		SELECT c.api_key_id, sum(c.amount) AS amount FROM (
			SELECT t.api_key_id, -t.amount - coalesce(r.amount, 0) AS amount
			FROM credits.transactions AS t LEFT JOIN returned AS r ON r.reverses = t.id
			WHERE t.api_key_id IS NOT NULL
			UNION ALL
			SELECT h.api_key_id, h.amount FROM credits.holds AS h WHERE h.api_key_id IS NOT NULL AND h.state = 'open') AS c
		GROUP BY 1
	) AS l ON l.api_key_id = k.id
	WHERE coalesce(s.amount, 0) <> coalesce(l.amount, 0)` + auditMembersSQL

// auditMembersSQL is the part that looks after the accounts of organisations: what
// their members have spent, and that nobody else spends of them.
var auditMembersSQL = `
UNION ALL
	SELECT 'a member has spent what they were charged', coalesce(s.account_id, l.user_id),
	       format('%s spent %s, ledger %s', coalesce(s.spender, l.spender), coalesce(s.amount, 0), coalesce(l.amount, 0))
	FROM (SELECT account_id, spender, sum(amount) AS amount FROM credits.spending WHERE spender LIKE 'user:%' GROUP BY 1, 2) AS s
	FULL JOIN (
		SELECT c.user_id, 'user:' || c.spent_by AS spender, sum(c.amount) AS amount FROM (
			SELECT t.user_id, t.spent_by, -t.amount - coalesce(r.amount, 0) AS amount
			FROM credits.transactions AS t LEFT JOIN returned AS r ON r.reverses = t.id
			WHERE t.spent_by IS NOT NULL AND t.amount < 0
			UNION ALL
			SELECT h.user_id, h.spent_by, h.amount FROM credits.holds AS h WHERE h.spent_by IS NOT NULL AND h.state = 'open') AS c
		GROUP BY 1, 2
	) AS l ON l.user_id = s.account_id AND l.spender = s.spender
	WHERE coalesce(s.amount, 0) <> coalesce(l.amount, 0)
UNION ALL
	SELECT 'what is charged to an organisation was spent by somebody', t.user_id, t.id
	FROM credits.transactions AS t
	WHERE t.type = 'usage' AND (t.user_id LIKE 'org:%') <> (t.spent_by IS NOT NULL)
UNION ALL
	SELECT 'an organisation that is gone has closed its account', b.user_id, ''
	FROM credits.balances AS b
	WHERE b.user_id LIKE 'org:%' AND NOT ` + functions.Schema + `.lives(b.user_id)
	  AND NOT EXISTS (SELECT FROM credits.closed_accounts AS c WHERE c.account_id = b.user_id)`
