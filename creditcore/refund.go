package creditcore

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// Refund gives a charge back, in part or whole. EntryID names the charge; an
// empty one means whatever the app has charged the user in all. Of is the kind
// of the charge, Usage where empty; Type is Returned where empty.
type Refund struct {
	UserID      string // the account
	Amount      Amount
	EntryID     string
	Of          EntryType
	Type        EntryType
	AppID       string
	Description string
	Metadata    json.RawMessage
	Key         string
	InternalKey string
	// ChargedBy, where set, is the only app whose charges are given back.
	ChargedBy string
	// SpentBy, where set, is the only member whose charges are given back.
	SpentBy string
}

// Refund gives back in a transaction of its own.
func (s *Service) Refund(ctx context.Context, f Refund) (r Receipt, err error) {
	err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		r, err = s.RefundTx(ctx, tx, f)
		return err
	})
	return r, err
}

// RefundTx gives back in the caller's transaction. What was spent falls by the
// amount. The credits go back to the lots they came from, where they have 72
// hours if the lot's time is over, and pay what the account owes. It fails with [ErrEntryNotFound], [ErrRefundExceeds],
// [ErrAccountNotFound], [ErrKeyReused] or [ErrInvalid].
func (s *Service) RefundTx(ctx context.Context, tx pgx.Tx, f Refund) (Receipt, error) {
	if f.Of == "" {
		f.Of = Usage
	}
	if f.Type == "" {
		f.Type = Returned
	}
	err := checkRequest(f.UserID, f.Amount, f.Key, f.Metadata, text{"appId", f.AppID}, text{"description", f.Description})
	if err != nil {
		return Receipt{}, err
	}
	var mark []byte
	if f.Key != "" {
		mark = fingerprintOf("refund", f.Amount, f.Metadata, f.AppID, f.Description, f.EntryID)
	}
	a, err := s.lockTx(ctx, tx, f.UserID)
	if err != nil {
		return Receipt{}, dbError(err)
	}
	charge, refused := s.refundableTx(ctx, tx, f)
	if refused != nil && !errors.Is(refused, ErrEntryNotFound) && !errors.Is(refused, ErrRefundExceeds) {
		return Receipt{}, dbError(refused)
	}
	spender := textOf(charge.SpentBy)
	if r, found, err := s.replayTx(ctx, tx, a, clientOf(f.UserID, spender), f.Key, f.InternalKey, mark); found || err != nil {
		return r, dbError(err)
	}
	if refused != nil {
		return Receipt{}, refused
	}
	if err := s.burnTx(ctx, tx, &a); err != nil {
		return Receipt{}, dbError(err)
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: f.Type, Spent: -f.Amount, AppID: f.AppID, Operation: charge.Operation,
		Description: f.Description, Metadata: f.Metadata, Key: f.Key, Fingerprint: mark,
		InternalKey: f.InternalKey, Reverses: f.EntryID, SpentBy: spender,
	})
	if err == nil {
		_, err = tx.Exec(ctx, `SELECT `+functions.Schema+`.restore($1, $2, $3, $4)`, f.UserID, e.ID, dbscope.NullText(f.EntryID), int64(f.Amount))
	}
	if err == nil {
		a, err = s.readTx(ctx, tx, f.UserID)
	}
	if err == nil && f.EntryID == "" {
		_, err = tx.Exec(ctx, `UPDATE credits.balances SET loose_refunds = true WHERE user_id = $1 AND NOT loose_refunds`, f.UserID)
	}
	return Receipt{Entry: e, Balance: a.of(f.UserID)}, dbError(err)
}

// charge is what a refund is set against.
type charge struct {
	Type      EntryType
	AppID     string
	Operation string
	Left      Amount // of it, that has not come back yet
	SpentBy   *string
}

// refundableTx finds the charge and checks that enough of it is left. What came
// back without naming a charge came from all of the app's.
func (s *Service) refundableTx(ctx context.Context, tx pgx.Tx, f Refund) (charge, error) {
	var c charge
	var err error
	if f.EntryID != "" {
		c, err = dbscope.TxRow[charge](ctx, tx,
			`SELECT t.type, t.app_id, t.operation, t.spent_by,
			   least(-t.amount - coalesce((SELECT sum(r.amount) FROM credits.transactions AS r WHERE r.reverses = t.id), 0),
			     CASE WHEN t.type = 'usage' THEN `+functions.Schema+`.usage_left(t.user_id, t.app_id) END)::bigint AS left
			 FROM credits.transactions AS t
			 WHERE t.id = $1 AND t.user_id = $2 AND t.type = $3 AND t.amount < 0 AND ($4 = '' OR t.app_id = $4) AND ($5 = '' OR t.spent_by = $5)`,
			f.EntryID, f.UserID, string(f.Of), f.ChargedBy, f.SpentBy)
	} else {
		c, err = dbscope.TxRow[charge](ctx, tx,
			`SELECT 'usage' AS type, $2::text AS app_id, '' AS operation, NULL::text AS spent_by,
			   `+functions.Schema+`.usage_left($1, $2) AS left`, f.UserID, f.AppID)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, ErrEntryNotFound
	case err == nil && c.Left < f.Amount:
		return c, ErrRefundExceeds
	}
	return c, err
}
