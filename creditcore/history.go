package creditcore

import (
	"context"
	"fmt"
	"time"

	"mana.how/edge/internal/dbscope"
)

// maxPage bounds the rows of one page.
const maxPage = 200

// History pages through the caller's ledger rows, newest first. The limit is
// clamped to 1 to 200, the offset to 0 and more. As the rows of an account are
// numbered without gaps, an offset is a sequence too, and no page is slower
// than another.
func (s *Service) History(ctx context.Context, c Caller, limit, offset int) ([]Entry, error) {
	return dbscope.ListLagging[Entry](ctx, s.replica, s.db, c.scope(),
		`SELECT `+entryColumns+`
		 FROM credits.transactions AS t
		 WHERE t.user_id = $1 AND t.sequence <= (SELECT b.sequence FROM credits.balances AS b WHERE b.user_id = $1) - $2::bigint
		 ORDER BY t.sequence DESC
		 LIMIT $3`, c.Account(), max(offset, 0), min(max(limit, 1), maxPage))
}

// HistoryBefore is the page of History that follows the row of a sequence: new
// rows do not move it.
func (s *Service) HistoryBefore(ctx context.Context, c Caller, limit int, sequence int64) ([]Entry, error) {
	return dbscope.ListLagging[Entry](ctx, s.replica, s.db, c.scope(),
		`SELECT `+entryColumns+`
		 FROM credits.transactions AS t
		 WHERE t.user_id = $1 AND t.sequence < $2
		 ORDER BY t.sequence DESC
		 LIMIT $3`, c.Account(), sequence, min(max(limit, 1), maxPage))
}

// UsageGroup is what usage is added up by.
type UsageGroup string

// The groups.
const (
	ByApp       UsageGroup = "app"
	ByOperation UsageGroup = "operation"
	ByDay       UsageGroup = "day"
)

// UsageLine is the usage of one app, operation or UTC day, whose name is Key;
// a day is written as 2006-01-02. Refunded is part of Credits.
type UsageLine struct {
	Key      string
	Credits  Amount
	Refunded Amount
	Requests int64
}

// Usage adds up what the caller used on the UTC days of from to to, both
// included: from the statistics, and from the ledger what they do not hold yet.
// Refunds count on the day they were made. It fails with [ErrInvalid] for
// another group.
func (s *Service) Usage(ctx context.Context, c Caller, from, to time.Time, by UsageGroup) ([]UsageLine, error) {
	column, order := map[UsageGroup]string{ByApp: "u.app_id", ByOperation: "u.operation", ByDay: "to_char(u.date, 'YYYY-MM-DD')"}[by], "2 DESC, 1"
	if column == "" {
		return nil, fmt.Errorf("%w: groupBy must be app, operation or day", ErrInvalid)
	}
	if by == ByDay {
		order = "1"
	}
	return dbscope.ListLagging[UsageLine](ctx, s.replica, s.db, c.scope(),
		`SELECT `+column+` AS key, sum(u.used)::bigint AS credits, sum(u.refunded)::bigint AS refunded, sum(u.requests)::bigint AS requests
		 FROM (
			SELECT s.app_id, s.operation, s.date, s.credits_used AS used, s.credits_refunded AS refunded, s.requests
			FROM credits.usage_stats AS s
			WHERE s.user_id = $1
		 UNION ALL
			SELECT coalesce(c.app_id, t.app_id), coalesce(c.operation, t.operation), (t.created_at AT TIME ZONE 'UTC')::date,
			       CASE WHEN t.type = 'usage' THEN -t.amount ELSE 0 END,
			       CASE WHEN t.type = 'refund' THEN t.amount ELSE 0 END,
			       (t.type = 'usage')::int::bigint
			FROM credits.transactions AS t
			LEFT JOIN credits.transactions AS c ON c.id = t.reverses
			WHERE t.user_id = $1
			  AND t.sequence > coalesce((SELECT w.sequence FROM credits.usage_watermarks AS w WHERE w.user_id = $1), 0)
			  AND (t.type = 'usage' OR t.type = 'refund' AND coalesce(c.type, 'usage') = 'usage')
		 ) AS u
		 WHERE u.date BETWEEN $2::date AND $3::date
		 GROUP BY 1
		 ORDER BY `+order, c.Account(), from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly))
}
