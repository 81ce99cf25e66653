package creditcore

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

var open = `INSERT INTO credits.balances (user_id)
	SELECT $1::text WHERE ` + functions.Schema + `.lives($1)
	ON CONFLICT (user_id) DO NOTHING`

// OpenTx gives a new account a balance of zero. It does nothing where there is
// one, or where there is no such user or organisation.
func (s *Service) OpenTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, open, userID)
	return err
}

// openAccount is OpenTx in a transaction of its own.
func (s *Service) openAccount(ctx context.Context, userID string) error {
	_, err := s.db.Exec(ctx, dbscope.System(), open, userID)
	return err
}

// LockTx locks the accounts in the order every transaction must lock in.
// Users without an account are passed over.
func (s *Service) LockTx(ctx context.Context, tx pgx.Tx, userIDs ...string) error {
	ids := slices.Clone(userIDs)
	slices.Sort(ids)
	_, err := tx.Exec(ctx,
		`SELECT 1 FROM credits.balances WHERE user_id = ANY ($1::text[]) ORDER BY user_id COLLATE "C" FOR UPDATE`, slices.Compact(ids))
	return err
}

// Balance is what the caller has.
func (s *Service) Balance(ctx context.Context, c Caller) (Balance, error) {
	return s.BalanceOf(ctx, c.Account())
}

// BalanceOf is what an account has, for back ends and operators. It fails with
// [ErrAccountNotFound] where there is no such user or organisation.
func (s *Service) BalanceOf(ctx context.Context, userID string) (Balance, error) {
	if !plain(userID) { // what others ask for at the same time must not fail by it
		return Balance{}, ErrAccountNotFound
	}
	if err := s.giveDaily(ctx, userID); err != nil {
		return Balance{}, err
	}
	found, err := s.reads.do(ctx, userID)
	if errors.Is(err, ErrAccountNotFound) {
		if err = s.openAccount(ctx, userID); err == nil {
			found, err = s.reads.do(ctx, userID)
		}
	}
	if err == nil && found.Due {
		found.account, err = dbscope.One[account](ctx, s.db, dbscope.System(),
			`SELECT `+accountColumns+` FROM `+functions.Schema+`.account($1)`, userID)
	}
	if err != nil {
		return Balance{}, err
	}
	return found.of(userID), nil
}

// locked is an account under its lock.
type locked struct {
	account
	UserID   string
	Sequence int64
	Unburnt  Amount
}

const (
	accountColumns = `balance, held, debt, total_earned, total_spent, version, created_at, updated_at`
	lockedColumns  = accountColumns + `, user_id, unburnt, sequence`
)

// lockTx locks an account, expires what is due and pays what is owed. It opens one that is
// missing, or fails with [ErrAccountNotFound].
func (s *Service) lockTx(ctx context.Context, tx pgx.Tx, userID string) (locked, error) {
	lock := `SELECT ` + lockedColumns + ` FROM ` + functions.Schema + `.account($1)`
	a, err := dbscope.TxRow[locked](ctx, tx, lock, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		if err = s.OpenTx(ctx, tx, userID); err != nil {
			return a, err
		}
		if a, err = dbscope.TxRow[locked](ctx, tx, lock, userID); errors.Is(err, pgx.ErrNoRows) {
			return a, ErrAccountNotFound
		}
	}
	return a, err
}

// readTx is a locked account as it is now.
func (s *Service) readTx(ctx context.Context, tx pgx.Tx, userID string) (locked, error) {
	return dbscope.TxRow[locked](ctx, tx, `SELECT `+lockedColumns+` FROM credits.balances WHERE user_id = $1`, userID)
}
