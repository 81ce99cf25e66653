package creditcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Served is what became of a charge that could not be refused any more: Paid
// at once, and Owed from now on.
type Served struct{ Paid, Owed Amount }

// DebitServed charges for what the user has already had: what the account has
// available is taken, and the rest is a debt that whatever comes in pays first.
// Reference names the charge among all: a repetition replays it.
// The debit's Key does not count, and the
// budget of its APIKey and the allotment of its member are charged, but not asked. It fails with [ErrAccountNotFound],
// [ErrInvalid] or [ErrUnavailable].
func (s *Service) DebitServed(ctx context.Context, d Debit, reference string) (Served, error) {
	d.Key = ""
	if _, err := d.prepare(); err != nil {
		return Served{}, err
	}
	if err := checkRequest(d.UserID, d.Amount, reference, nil); err != nil || reference == "" {
		return Served{}, ErrInvalid
	}
	var served Served
	err := s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) (err error) {
		served, err = s.debitServedTx(ctx, tx, d, reference)
		return err
	})
	return served, err
}

func (s *Service) debitServedTx(ctx context.Context, tx pgx.Tx, d Debit, reference string) (Served, error) {
	account := d.account()
	a, err := s.lockTx(ctx, tx, account)
	if err != nil {
		return Served{}, dbError(err)
	}
	served, err := s.servedTx(ctx, tx, account, reference)
	if err != nil || served != (Served{}) {
		return served, dbError(err)
	}
	served.Paid = max(0, min(d.Amount, a.Balance-a.Held))
	served.Owed = d.Amount - served.Paid
	if served.Paid > 0 {
		_, err = s.postTx(ctx, tx, &a, posting{
			Type: d.Type, Spent: served.Paid, Unburnt: served.Paid, AppID: d.AppID, Operation: d.Operation,
			Description: d.Description, Metadata: d.Metadata, InternalKey: reference, APIKey: d.APIKey, SpentBy: d.spender(),
		})
	}
	if err == nil && served.Owed > 0 {
		err = s.changeDebtTx(ctx, tx, Clawback{Reference: reference}, account, "incurred", served.Owed)
	}
	return served, dbError(err)
}

// servedTx reads what was booked under a reference.
func (s *Service) servedTx(ctx context.Context, tx pgx.Tx, userID, reference string) (Served, error) {
	return dbscope.TxRow[Served](ctx, tx,
		`SELECT coalesce((SELECT -t.amount FROM credits.transactions AS t WHERE t.user_id = $1 AND t.internal_key = $2), 0)::bigint AS paid,
		        coalesce((SELECT sum(d.amount) FROM credits.debts AS d
		                  WHERE d.user_id = $1 AND d.reference = $2 AND d.kind = 'incurred'), 0)::bigint AS owed`, userID, reference)
}
