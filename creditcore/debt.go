package creditcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// payDebtTx pays what a locked account owes with what just came in, a ledger
// row for each debt, and returns the account as it is then.
func (s *Service) payDebtTx(ctx context.Context, tx pgx.Tx, a locked, in Entry) (locked, error) {
	if _, err := tx.Exec(ctx, `SELECT `+functions.Schema+`.pay_debt($1, $2)`, a.UserID, in.ID); err != nil {
		return a, err
	}
	return s.readTx(ctx, tx, a.UserID)
}

// changeDebtTx notes that more is owed for a grant, or less.
func (s *Service) changeDebtTx(ctx context.Context, tx pgx.Tx, c Clawback, userID, kind string, amount Amount) error {
	_, err := tx.Exec(ctx,
		`WITH note AS (
			INSERT INTO credits.debts (user_id, reference, kind, amount, spares_bought)
			VALUES ($1, $2, $3, $4, $5))
		UPDATE credits.balances
		SET debt = debt + $4, version = version + 1, updated_at = clock_timestamp()
		WHERE user_id = $1`, userID, c.Reference, kind, int64(amount), c.SpareBought)
	return err
}

// owing is what became of what a holder of a grant's credits owed for it.
type owing struct {
	Owed     Amount // still
	Forgiven Amount // and not made undone by a reinstatement
}

// debtTx reads the debt of a holder for a grant of the user's.
func (s *Service) debtTx(ctx context.Context, tx pgx.Tx, userID, holderID, reference string) (owing, error) {
	return dbscope.TxRow[owing](ctx, tx,
		`SELECT coalesce(sum(d.amount), 0)::bigint AS owed,
		        greatest(0, coalesce(-sum(d.amount) FILTER (WHERE d.kind IN ('forgiven', 'reinstated')), 0)
		          - (SELECT coalesce(sum(c.returned), 0) FROM credits.clawbacks AS c
		             WHERE c.user_id = $1 AND c.holder_id = $2 AND c.reference = $3 AND c.kind = 'owed'))::bigint AS forgiven
		 FROM credits.debts AS d
		 WHERE d.user_id = $2 AND d.reference = $3`, userID, holderID, reference)
}

// Forgiveness writes off what an account owes: at most the amount, or all of it
// where that is zero. The reason and who gave it are kept.
type Forgiveness struct {
	UserID string
	Amount Amount
	Reason string
	By     string
}

// Forgive writes off debts, the oldest first, and returns how much it was and
// the balance after it. It fails with [ErrAccountNotFound] or [ErrInvalid].
func (s *Service) Forgive(ctx context.Context, f Forgiveness) (forgiven Amount, b Balance, err error) {
	err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		forgiven, b, err = s.ForgiveTx(ctx, tx, f)
		return err
	})
	return forgiven, b, err
}

// ForgiveTx is [Service.Forgive] in a transaction, in the scope of the system.
func (s *Service) ForgiveTx(ctx context.Context, tx pgx.Tx, f Forgiveness) (forgiven Amount, b Balance, err error) {
	switch {
	case f.Amount < 0, f.Reason == "", len(f.Reason) > maxText, !plain(f.Reason), f.By == "", !plain(f.By):
		return 0, b, ErrInvalid
	}
	a, err := s.lockTx(ctx, tx, f.UserID)
	if err != nil {
		return 0, b, err
	}
	if forgiven = a.Debt; f.Amount > 0 {
		forgiven = min(f.Amount, a.Debt)
	}
	if forgiven > 0 {
		if err := s.writeOffTx(ctx, tx, f, forgiven); err != nil {
			return 0, b, err
		}
		if a, err = s.readTx(ctx, tx, f.UserID); err != nil {
			return 0, b, err
		}
	}
	return forgiven, a.of(f.UserID), nil
}

func (s *Service) writeOffTx(ctx context.Context, tx pgx.Tx, f Forgiveness, amount Amount) error {
	_, err := tx.Exec(ctx,
		`WITH owed AS (
			SELECT reference, bool_or(spares_bought) AS spares_bought, sum(amount) AS amount,
			       sum(sum(amount)) OVER (ORDER BY min(created_at), reference) - sum(amount) AS before
			FROM credits.debts
			WHERE user_id = $1
			GROUP BY reference
			HAVING sum(amount) > 0
		), note AS (
			INSERT INTO credits.debts (user_id, reference, kind, amount, spares_bought, reason, forgiven_by)
			SELECT $1, reference, 'forgiven', -least(amount, $2::bigint - before), spares_bought, $3, $4
			FROM owed
			WHERE before < $2::bigint
		)
		UPDATE credits.balances
		SET debt = debt - $2::bigint, version = version + 1, updated_at = clock_timestamp()
		WHERE user_id = $1`, f.UserID, int64(amount), f.Reason, f.By)
	return err
}
