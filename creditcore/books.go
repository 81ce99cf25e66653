package creditcore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Movements are sums of ledger rows by their type. Usage and Expiry are not
// positive; Gifts and Adjustments may be either.
type Movements struct {
	Entries     int64 // how many rows
	Opening     Amount
	Purchases   Amount
	Gifts       Amount // received, given and taken back, and what admins gave
	Refunds     Amount
	Usage       Amount
	Expiry      Amount
	Adjustments Amount
	Closing     Amount
}

// BookLine is what happened to an account on a day (UTC). Days without a row have none.
type BookLine struct {
	Day     time.Time
	Account string // the id of a user, or org: and that of an organisation
	Movements
}

// DayTotal is what happened to all accounts on a day (UTC).
type DayTotal struct {
	Day      time.Time
	Accounts int64 // with a row on that day
	Movements
}

// ErrPeriod refuses a period that ends before it begins, or lasts longer than ten years.
var ErrPeriod = errors.New("the period must end after it begins, at most ten years later")

// bookRows are the rows of a period with the day that they are booked on: that of the
// row before it where the clock of the database went back. So the days of an account
// follow each other as its rows do. clockSkew is how far the clock may have gone back.
const (
	clockSkew = "interval '1 hour'"
	bookRows  = `SELECT t.user_id, t.sequence, t.type::text AS type, t.amount, t.balance_before, t.balance_after,
	       date_trunc('day', max(t.created_at) OVER (PARTITION BY t.user_id ORDER BY t.sequence), 'UTC') AS day
	FROM credits.transactions AS t WHERE t.created_at >= $1::timestamptz - ` + clockSkew
	bookSums = `count(*) AS entries,
	coalesce(sum(amount) FILTER (WHERE type = 'purchase'), 0)::bigint AS purchases,
	coalesce(sum(amount) FILTER (WHERE type LIKE 'gift%'), 0)::bigint AS gifts,
	coalesce(sum(amount) FILTER (WHERE type = 'refund'), 0)::bigint AS refunds,
	coalesce(sum(amount) FILTER (WHERE type = 'usage'), 0)::bigint AS usage,
	coalesce(sum(amount) FILTER (WHERE type = 'expiry'), 0)::bigint AS expiry,
	coalesce(sum(amount) FILTER (WHERE type NOT LIKE 'gift%' AND type NOT IN ('purchase', 'refund', 'usage', 'expiry')), 0)::bigint AS adjustments`
)

// Books calls each with every account and day of the period from from to before to, in
// the order of days and accounts, as they come. The days are those of UTC. What an
// account opens a day with is what it closed the last one with. It fails with
// [ErrPeriod], what each returns, or [ErrUnavailable].
func (s *Service) Books(ctx context.Context, from, to time.Time, each func(BookLine) error) error {
	return survey(ctx, s, from, to, each, `
WITH rows AS (`+bookRows+` AND t.created_at < $2::timestamptz + `+clockSkew+`)
SELECT day, user_id AS account, (array_agg(balance_before ORDER BY sequence))[1] AS opening, `+bookSums+`,
       (array_agg(balance_after ORDER BY sequence DESC))[1] AS closing
FROM rows WHERE day >= $1 AND day < $2
GROUP BY day, user_id ORDER BY day, user_id COLLATE "C"`)
}

// DayTotals calls each with every day of a period as [Service.Books] does, all accounts
// together. Days without a row are among them.
func (s *Service) DayTotals(ctx context.Context, from, to time.Time, each func(DayTotal) error) error {
	return survey(ctx, s, from, to, each, `
WITH rows AS (`+bookRows+`), moved AS (
	SELECT day, count(DISTINCT user_id) AS accounts, sum(amount)::bigint AS amount, `+bookSums+` FROM rows WHERE day >= $1 GROUP BY day
), days AS (
	SELECT generate_series($1::timestamptz, $2::timestamptz - interval '1 day', interval '1 day') AS day
), opened AS (
	SELECT coalesce((SELECT sum(balance) FROM credits.balances), 0) - coalesce((SELECT sum(amount) FROM moved), 0) AS balance
), closed AS (
	SELECT d.day, m.*, o.balance + coalesce(sum(m.amount) OVER (ORDER BY d.day), 0) AS closing
	FROM days AS d CROSS JOIN opened AS o LEFT JOIN moved AS m (booked, accounts, amount, entries, purchases, gifts, refunds, usage, expiry, adjustments) ON m.booked = d.day
)
SELECT day, coalesce(accounts, 0) AS accounts, (closing - coalesce(amount, 0))::bigint AS opening, coalesce(entries, 0) AS entries,
       coalesce(purchases, 0) AS purchases, coalesce(gifts, 0) AS gifts, coalesce(refunds, 0) AS refunds, coalesce(usage, 0) AS usage,
       coalesce(expiry, 0) AS expiry, coalesce(adjustments, 0) AS adjustments, closing::bigint AS closing
FROM closed ORDER BY day`)
}

// longestPeriod bounds what is booked at once.
const longestPeriod = 10 * 366 * 24 * time.Hour

// CheckPeriod fails with [ErrPeriod] where the books have no such period.
func CheckPeriod(from, to time.Time) error {
	if from, to = dayOf(from), dayOf(to); !to.After(from) || to.Sub(from) > longestPeriod {
		return ErrPeriod
	}
	return nil
}

// dayOf is the day of an instant, in UTC.
func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// survey reads the rows of a statement about a period of whole days as they come.
func survey[T any](ctx context.Context, s *Service, from, to time.Time, each func(T) error, sql string) error {
	if err := CheckPeriod(from, to); err != nil {
		return err
	}
	from, to = dayOf(from), dayOf(to)
	return s.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		return stream(ctx, tx, each, sql, from, to)
	})
}

// stream calls each with every row of a statement.
func stream[T any](ctx context.Context, tx pgx.Tx, each func(T) error, sql string, args ...any) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := pgx.RowToStructByName[T](rows)
		if err == nil {
			err = each(row)
		}
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
	}
	return rows.Err()
}
