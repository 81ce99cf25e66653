package creditcore

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Clawback takes back credits whose payment was taken back, or gives them
// again. Reference names the lot. InternalKey makes a repetition a replay.
type Clawback struct {
	UserID      string
	Reference   string
	Amount      Amount
	AppID       string
	Description string
	Metadata    json.RawMessage
	InternalKey string
}

// lot is what clawing back needs to know of one.
type lot struct {
	TransactionID string
	Granted       Amount
	Remaining     Amount
	Expired       Amount
	ClawedBack    Amount
}

// ClawbackTx takes as much of the amount as is left of the lot's grant and of
// the account's available credits, which never fall below zero: taken tells
// how much. What of the lot is spent already is taken from the others. No
// ledger row is written where nothing can be taken. What was earned falls by
// taken. It fails with [ErrEntryNotFound] where there is no such lot.
func (s *Service) ClawbackTx(ctx context.Context, tx pgx.Tx, c Clawback) (taken Amount, r Receipt, err error) {
	a, l, r, done, err := s.clawbackLotTx(ctx, tx, c)
	if done || err != nil {
		return -r.Entry.Amount, r, dbError(err)
	}
	taken = min(c.Amount, l.Granted-l.Expired-l.ClawedBack, a.Balance-a.Held)
	if taken <= 0 {
		return 0, Receipt{Balance: a.of(c.UserID)}, nil
	}
	spent := max(0, taken-l.Remaining) // of the lot; others are burnt for it
	_, err = tx.Exec(ctx,
		`UPDATE credits.lots
		 SET remaining = remaining - $2, burnt = burnt - $3, clawed_back = clawed_back + $2 + $3
		 WHERE transaction_id = $1`, l.TransactionID, int64(taken-spent), int64(spent))
	if err != nil {
		return 0, Receipt{}, dbError(err)
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: Adjustment, Earned: -taken, Unburnt: spent, AppID: c.AppID, Description: c.Description,
		Metadata: c.Metadata, InternalKey: c.InternalKey,
	})
	return taken, Receipt{Entry: e, Balance: a.of(c.UserID)}, dbError(err)
}

// ReinstateTx gives back what was clawed back from a lot, at most that much.
// It fails with [ErrRefundExceeds] beyond it and with [ErrEntryNotFound] where
// there is no such lot.
func (s *Service) ReinstateTx(ctx context.Context, tx pgx.Tx, c Clawback) (Receipt, error) {
	a, l, r, done, err := s.clawbackLotTx(ctx, tx, c)
	if done || err != nil {
		return r, dbError(err)
	}
	if c.Amount > l.ClawedBack {
		return Receipt{}, ErrRefundExceeds
	}
	_, err = tx.Exec(ctx,
		`UPDATE credits.lots SET remaining = remaining + $2, clawed_back = clawed_back - $2 WHERE transaction_id = $1`,
		l.TransactionID, int64(c.Amount))
	if err == nil {
		err = s.nextExpiryTx(ctx, tx, c.UserID)
	}
	if err != nil {
		return Receipt{}, dbError(err)
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: Adjustment, Earned: c.Amount, AppID: c.AppID, Description: c.Description,
		Metadata: c.Metadata, InternalKey: c.InternalKey,
	})
	return Receipt{Entry: e, Balance: a.of(c.UserID)}, dbError(err)
}

// clawbackLotTx locks the account and reads the lot as of now. done means that
// the receipt answers the repetition of an earlier call.
func (s *Service) clawbackLotTx(ctx context.Context, tx pgx.Tx, c Clawback) (a locked, l lot, r Receipt, done bool, err error) {
	err = checkRequest(c.UserID, c.Amount, "", c.Metadata, text{"appId", c.AppID}, text{"description", c.Description})
	if err != nil {
		return a, l, r, false, err
	}
	if a, err = s.lockTx(ctx, tx, c.UserID); err != nil {
		return a, l, r, false, err
	}
	if r, done, err = s.replayTx(ctx, tx, a, "", c.InternalKey, nil); done || err != nil {
		return a, l, r, done, err
	}
	if err = s.burnTx(ctx, tx, &a); err != nil {
		return a, l, r, false, err
	}
	l, err = dbscope.TxRow[lot](ctx, tx,
		`SELECT transaction_id, granted, remaining, expired, clawed_back
		 FROM credits.lots WHERE user_id = $1 AND reference = $2`, c.UserID, c.Reference)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrEntryNotFound
	}
	return a, l, r, false, err
}
