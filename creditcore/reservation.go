package creditcore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// ReserveTx takes credits for a gift. They stay those of the lots they were
// taken from: what [Service.GrantTx] passes on keeps their source and end,
// what [Service.RefundTx] gives back returns to them. It fails as
// [Service.DebitTx] does.
func (s *Service) ReserveTx(ctx context.Context, tx pgx.Tx, d Debit) (Receipt, error) {
	a, err := s.lockTx(ctx, tx, d.UserID)
	if err == nil {
		err = s.burnTx(ctx, tx, &a)
	}
	if err != nil {
		return Receipt{}, dbError(err)
	}
	r, err := s.DebitTx(ctx, tx, d)
	if err != nil || r.Replayed {
		return r, err
	}
	_, err = tx.Exec(ctx, `SELECT `+functions.Schema+`.draw($1, $2)`, d.UserID, r.Entry.ID)
	return r, dbError(err)
}

// ReservedUntilTx is when the first of what a reservation holds expires: nil
// where nothing does.
func (s *Service) ReservedUntilTx(ctx context.Context, tx pgx.Tx, reservation string) (*time.Time, error) {
	type end struct{ At *time.Time }
	e, err := dbscope.TxRow[end](ctx, tx,
		`SELECT min(l.expires_at) AS at
		 FROM credits.draws AS d
		 JOIN credits.lots AS l ON l.id = d.lot_id
		 WHERE d.transaction_id = $1`, reservation)
	return e.At, dbError(err)
}

// passOnTx makes lots of what a reservation still holds, in the order it was
// taken, and returns how much it held: less than the grant where the
// reservation is from before lots were kept of it.
func (s *Service) passOnTx(ctx context.Context, tx pgx.Tx, e Entry, g Grant) (Amount, error) {
	type passed struct{ Amount Amount }
	p, err := dbscope.TxRow[passed](ctx, tx,
		`WITH parts AS (
			SELECT d.transaction_id, d.position, d.lot_id, least(d.left, $2::bigint - d.before) AS take
			FROM (
				SELECT transaction_id, position, lot_id, amount - passed_on - returned AS left,
				       sum(amount - passed_on - returned) OVER (ORDER BY position) - (amount - passed_on - returned) AS before
				FROM credits.draws
				WHERE transaction_id = $1
			) AS d
			WHERE d.left > 0 AND d.before < $2::bigint
		), drawn AS (
			UPDATE credits.draws AS d
			SET passed_on = d.passed_on + p.take
			FROM parts AS p
			WHERE d.transaction_id = p.transaction_id AND d.position = p.position
		), made AS (
			INSERT INTO credits.lots (transaction_id, user_id, sequence, source, priority, reference, granted, remaining,
				expires_at, created_at, parent, prolonged)
			SELECT $3, $4, $5, l.source, $6, $7 || CASE WHEN row_number() OVER w > 1 THEN ':' || row_number() OVER w ELSE '' END,
			       p.take, p.take, l.expires_at, $8, l.id, l.prolonged
			FROM parts AS p
			JOIN credits.lots AS l ON l.id = p.lot_id
			WINDOW w AS (ORDER BY p.position)
		)
		SELECT coalesce(sum(take), 0)::bigint AS amount FROM parts`,
		g.Gift, int64(e.Amount), e.ID, e.UserID, e.Sequence, g.Priority, dbscope.NullText(g.Reference), e.CreatedAt)
	return p.Amount, err
}
