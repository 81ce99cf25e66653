package creditcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// EntryOf is a row of the ledger, for operators. It fails with [ErrEntryNotFound].
func (s *Service) EntryOf(ctx context.Context, id string) (Entry, error) {
	e, err := dbscope.One[Entry](ctx, s.db, dbscope.System(),
		`SELECT `+entryColumns+` FROM credits.transactions AS t WHERE t.id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrEntryNotFound
	}
	return e, err
}

// Debt is a row of what an account owes for credits whose money went back: what it
// incurred, or what was paid, forgiven or reinstated of it, which is negative.
type Debt struct {
	Reference  string // the grant
	Kind       string
	Amount     Amount
	Reason     *string // of who forgave
	ForgivenBy *string
	CreatedAt  time.Time
}

// DebtsOf are the newest rows of an account's debts, for operators.
func (s *Service) DebtsOf(ctx context.Context, userID string, limit int) ([]Debt, error) {
	return dbscope.List[Debt](ctx, s.db, dbscope.System(),
		`SELECT d.reference, d.kind, d.amount, d.reason, d.forgiven_by, d.created_at
		 FROM credits.debts AS d
		 WHERE d.user_id = $1
		 ORDER BY d.created_at DESC, d.id DESC
		 LIMIT $2`, userID, limit)
}

// Debtor is an account that owes.
type Debtor struct {
	UserID  string
	Email   string
	Balance Amount
	Debt    Amount
}

const debtorsSQL = `SELECT b.user_id, u.email, b.balance, b.debt
	FROM credits.balances AS b
	JOIN auth.users AS u ON u.id = b.user_id
	WHERE b.debt > 0 AND b.user_id > $1
	ORDER BY b.user_id
	LIMIT $2`

// Debtors are the accounts that owe, by id, those behind one of an id.
func (s *Service) Debtors(ctx context.Context, after string, limit int) ([]Debtor, error) {
	return dbscope.List[Debtor](ctx, s.db, dbscope.System(), debtorsSQL, after, limit)
}

// UsageHour is what was charged in an hour, by its beginning (UTC), and what came
// back of any charge.
type UsageHour struct {
	At       time.Time
	Used     Amount
	Refunded Amount
}

const usageHoursSQL = `SELECT date_trunc('hour', t.created_at) AS at,
	       coalesce(-sum(t.amount) FILTER (WHERE t.type = 'usage'), 0)::bigint AS used,
	       coalesce(sum(t.amount) FILTER (WHERE t.type = 'refund'), 0)::bigint AS refunded
	FROM credits.transactions AS t
	WHERE t.created_at >= $1
	GROUP BY 1`

// UsageHours adds up what everybody used by the hour; hours without a row are left
// out.
func (s *Service) UsageHours(ctx context.Context, since time.Time) ([]UsageHour, error) {
	return dbscope.List[UsageHour](ctx, s.db, dbscope.System(), usageHoursSQL, since)
}

// EdgeSeen is a process that charges for requests, when it was heard of last, and
// how many charges it had in flight then.
type EdgeSeen struct {
	ID     string
	SeenAt time.Time
	Open   int
}

// Edges are the processes that charge for requests, the last heard of first. One
// that left in order is not among them.
func (s *Service) Edges(ctx context.Context, limit int) ([]EdgeSeen, error) {
	return dbscope.List[EdgeSeen](ctx, s.db, dbscope.System(),
		`SELECT e.id, e.seen_at, cardinality(e.open) AS open FROM credits.edges AS e ORDER BY e.seen_at DESC, e.id LIMIT $1`, limit)
}
