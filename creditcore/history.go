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
// clamped to 1 to 200, the offset to 0 and more.
func (s *Service) History(ctx context.Context, c Caller, limit, offset int) ([]Entry, error) {
	return dbscope.List[Entry](ctx, s.db, dbscope.User(c.UserID, "user"),
		`SELECT `+entryColumns+`
		 FROM credits.transactions AS t
		 WHERE t.user_id = $1
		 ORDER BY t.sequence DESC
		 LIMIT $2 OFFSET $3`, c.UserID, min(max(limit, 1), maxPage), max(offset, 0))
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
// included. Refunds count on the day they were made. It fails with
// [ErrInvalid] for another group.
func (s *Service) Usage(ctx context.Context, c Caller, from, to time.Time, by UsageGroup) ([]UsageLine, error) {
	column, order := map[UsageGroup]string{ByApp: "app_id", ByOperation: "operation", ByDay: "date::text"}[by], "2 DESC, 1"
	if column == "" {
		return nil, fmt.Errorf("%w: groupBy must be app, operation or day", ErrInvalid)
	}
	if by == ByDay {
		order = "1"
	}
	return dbscope.List[UsageLine](ctx, s.db, dbscope.User(c.UserID, "user"),
		`SELECT `+column+` AS key, sum(credits_used)::bigint AS credits, sum(credits_refunded)::bigint AS refunded,
		   sum(requests)::bigint AS requests
		 FROM credits.usage_stats
		 WHERE user_id = $1 AND date BETWEEN $2::date AND $3::date
		 GROUP BY 1
		 ORDER BY `+order, c.UserID, from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly))
}
