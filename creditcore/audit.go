package creditcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Breach is an invariant that does not hold.
type Breach struct {
	Invariant string
	UserID    string
	Detail    string
}

// Report is the outcome of an audit. Breaches is empty for a sound ledger, and
// holds at most maxBreaches.
type Report struct {
	Accounts int64
	Entries  int64
	Breaches []Breach
}

const maxBreaches = 1000

// Audit checks every invariant of the ledger in one snapshot.
func (s *Service) Audit(ctx context.Context) (Report, error) {
	var report Report
	err := s.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, auditSQL, maxBreaches)
		if err != nil {
			return err
		}
		if report.Breaches, err = pgx.CollectRows(found, pgx.RowToStructByName[Breach]); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM credits.balances), (SELECT count(*) FROM credits.transactions)`).
			Scan(&report.Accounts, &report.Entries)
	})
	return report, err
}

// auditSQL is one statement, so that all of it sees one snapshot. The argument
// bounds the rows.
var auditSQL = `
WITH ledger AS (
	SELECT user_id, count(*) AS n, min(sequence) AS first, max(sequence) AS last, sum(amount) AS total,
	       sum(amount) FILTER (WHERE type IN ('purchase', 'adjustment', 'bonus', 'gift_receive') OR type = 'gift' AND amount > 0) AS earned,
	       -coalesce(sum(amount) FILTER (WHERE type = 'usage' AND sequence <= coalesce(w.through, 0)), 0) AS used
	FROM credits.transactions LEFT JOIN (SELECT user_id, sequence AS through FROM credits.usage_watermarks) AS w USING (user_id)
	GROUP BY user_id
), chain AS (
	SELECT user_id, sequence, balance_before, lag(balance_after, 1, 0::bigint) OVER (PARTITION BY user_id ORDER BY sequence) AS expected
	FROM credits.transactions
), lots AS (
	SELECT user_id, sum(remaining) AS remaining FROM credits.lots GROUP BY user_id
), holds AS (
	SELECT user_id, sum(amount) AS held FROM credits.holds WHERE state = 'open' GROUP BY user_id
), usage AS (
	SELECT user_id, sum(credits_used) AS used, sum(credits_refunded) AS refunded FROM credits.usage_stats GROUP BY user_id
), debts AS (
	SELECT user_id, sum(amount) AS debt FROM credits.debts GROUP BY user_id
), returned AS (
	SELECT reverses, sum(amount) AS amount FROM credits.transactions WHERE reverses IS NOT NULL GROUP BY reverses
)
SELECT * FROM (
	SELECT 'balance is the sum of the ledger' AS invariant, b.user_id, format('balance %s, ledger %s', b.balance, coalesce(l.total, 0)) AS detail
	FROM credits.balances AS b LEFT JOIN ledger AS l USING (user_id)
	WHERE b.balance <> coalesce(l.total, 0)
UNION ALL
	SELECT 'rows are numbered without gaps', b.user_id, format('sequence %s, rows %s from %s to %s', b.sequence, coalesce(l.n, 0), l.first, l.last)
	FROM credits.balances AS b LEFT JOIN ledger AS l USING (user_id)
	WHERE b.sequence <> coalesce(l.n, 0) OR l.first <> 1 OR l.last <> b.sequence
UNION ALL
	SELECT 'each row begins where the one before ended', user_id, format('row %s begins with %s, expected %s', sequence, balance_before, expected)
	FROM chain WHERE balance_before <> expected
UNION ALL
	SELECT 'balance is earned minus spent', user_id, format('balance %s, earned %s, spent %s', balance, total_earned, total_spent)
	FROM credits.balances WHERE balance <> total_earned - total_spent OR balance < 0 OR held < 0 OR held > balance
UNION ALL
	SELECT 'total earned is the sum of grants', b.user_id, format('total earned %s, grants %s', b.total_earned, coalesce(l.earned, 0))
	FROM credits.balances AS b LEFT JOIN ledger AS l USING (user_id)
	WHERE b.total_earned <> coalesce(l.earned, 0)
UNION ALL
	SELECT 'held is the sum of open holds', b.user_id, format('held %s, holds %s', b.held, coalesce(h.held, 0))
	FROM credits.balances AS b LEFT JOIN holds AS h USING (user_id)
	WHERE b.held <> coalesce(h.held, 0)
UNION ALL
	SELECT 'lots hold the balance', b.user_id, format('lots %s, to be burnt %s, balance %s', coalesce(l.remaining, 0), b.unburnt, b.balance)
	FROM credits.balances AS b LEFT JOIN lots AS l USING (user_id)
	WHERE coalesce(l.remaining, 0) - b.unburnt <> b.balance
UNION ALL
	SELECT 'a lot is what became of it', user_id, id
	FROM credits.lots WHERE granted <> remaining + burnt + given + expired + clawed_back
UNION ALL
	SELECT 'nothing that expired lives on', l.user_id, l.id
	FROM credits.lots AS l JOIN credits.balances AS b USING (user_id)
	WHERE l.remaining > 0 AND l.expires_at <= now() AND (b.next_expiry IS NULL OR b.next_expiry > now())
UNION ALL
	SELECT 'debt is the sum of its rows', b.user_id, format('debt %s, rows %s', b.debt, coalesce(d.debt, 0))
	FROM credits.balances AS b LEFT JOIN debts AS d USING (user_id)
	WHERE b.debt <> coalesce(d.debt, 0) OR b.debt < 0
UNION ALL
	SELECT 'a paid debt has its ledger row', d.user_id, d.id
	FROM credits.debts AS d JOIN credits.transactions AS t ON t.id = d.transaction_id
	WHERE t.user_id <> d.user_id OR t.amount > d.amount OR t.type <> 'adjustment'
UNION ALL
	SELECT 'a gift has what lots gave it', t.user_id, format('gift %s of %s, lots gave %s', t.id, -t.amount, d.amount)
	FROM (SELECT transaction_id, sum(amount) AS amount FROM credits.draws GROUP BY transaction_id) AS d
	JOIN credits.transactions AS t ON t.id = d.transaction_id
	WHERE d.amount <> -t.amount
UNION ALL
	SELECT 'what a gift passed on are lots', l.user_id, format('lot %s passed on %s, lots came of it for %s', l.id, d.passed_on, coalesce(k.granted, 0))
	FROM (SELECT lot_id, sum(passed_on) AS passed_on FROM credits.draws GROUP BY lot_id) AS d
	JOIN credits.lots AS l ON l.id = d.lot_id
	LEFT JOIN (
		SELECT c.parent, sum(c.granted) AS granted
		FROM credits.lots AS c JOIN credits.lots AS p ON p.id = c.parent
		WHERE c.user_id <> p.user_id
		GROUP BY c.parent
	) AS k ON k.parent = l.id
	WHERE d.passed_on <> coalesce(k.granted, 0)
UNION ALL
	SELECT 'a settled hold has its ledger row', h.user_id, h.id
	FROM credits.holds AS h LEFT JOIN credits.transactions AS t ON t.hold_id = h.id
	WHERE coalesce(h.settled_amount, 0) <> coalesce(-t.amount, 0)
UNION ALL
	SELECT 'no more comes back than was charged', t.user_id, t.id
	FROM returned AS r JOIN credits.transactions AS t ON t.id = r.reverses
	WHERE r.amount > -t.amount
UNION ALL
	SELECT 'usage is what was charged', b.user_id, format('usage %s, ledger %s', coalesce(u.used, 0), coalesce(l.used, 0))
	FROM credits.balances AS b LEFT JOIN usage AS u USING (user_id) LEFT JOIN ledger AS l USING (user_id)
	WHERE coalesce(u.used, 0) <> coalesce(l.used, 0) OR coalesce(u.refunded, 0) > coalesce(u.used, 0)
` + auditFlightSQL + `
) AS breaches
ORDER BY invariant, user_id
LIMIT $1`
