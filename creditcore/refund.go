package creditcore

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Refund gives a charge back, in part or whole. EntryID names the charge; an
// empty one means whatever the app has charged the user in all. Of is the kind
// of the charge, Usage where empty; Type is Returned where empty.
type Refund struct {
	UserID      string
	Amount      Amount
	EntryID     string
	Of          EntryType
	Type        EntryType
	AppID       string
	Description string
	Metadata    json.RawMessage
	Key         string
	InternalKey string
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
// amount. The credits return to burnt lots, in the reverse order of burning, as
// far as those have not expired; the rest is a lot of its own without an end. It fails with [ErrEntryNotFound], [ErrRefundExceeds],
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
		mark = fingerprint("refund", f.Amount, f.Metadata, f.AppID, f.Description, f.EntryID)
	}
	a, err := s.lockTx(ctx, tx, f.UserID)
	if err != nil {
		return Receipt{}, dbError(err)
	}
	if r, found, err := s.replayTx(ctx, tx, a, f.Key, f.InternalKey, mark); found || err != nil {
		return r, dbError(err)
	}
	charge, err := s.refundableTx(ctx, tx, f)
	if err != nil {
		return Receipt{}, dbError(err)
	}
	if err := s.burnTx(ctx, tx, &a); err != nil {
		return Receipt{}, dbError(err)
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: f.Type, Spent: -f.Amount, AppID: f.AppID, Operation: charge.Operation,
		Description: f.Description, Metadata: f.Metadata, Key: f.Key, Fingerprint: mark,
		InternalKey: f.InternalKey, Reverses: f.EntryID,
	})
	if err == nil {
		err = s.unburnTx(ctx, tx, e, f.Amount)
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
}

// refundableTx finds the charge and checks that enough of it is left. What came
// back without naming a charge came from all of the app's.
func (s *Service) refundableTx(ctx context.Context, tx pgx.Tx, f Refund) (charge, error) {
	var c charge
	var err error
	if f.EntryID != "" {
		c, err = dbscope.TxRow[charge](ctx, tx,
			`SELECT t.type, t.app_id, t.operation,
			   least(-t.amount - coalesce((SELECT sum(r.amount) FROM credits.transactions AS r WHERE r.reverses = t.id), 0),
			     CASE WHEN t.type = 'usage' THEN credits.usage_left(t.user_id, t.app_id) END)::bigint AS left
			 FROM credits.transactions AS t
			 WHERE t.id = $1 AND t.user_id = $2 AND t.type = $3 AND t.amount < 0`, f.EntryID, f.UserID, string(f.Of))
	} else {
		c, err = dbscope.TxRow[charge](ctx, tx,
			`SELECT 'usage' AS type, $2::text AS app_id, '' AS operation,
			   credits.usage_left($1, $2) AS left`, f.UserID, f.AppID)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, ErrEntryNotFound
	case err == nil && c.Left < f.Amount:
		return c, ErrRefundExceeds
	}
	return c, err
}

// unburnTx returns credits to burnt lots, in the reverse order of burning, once
// nothing is left to be burnt. The rest becomes a lot.
func (s *Service) unburnTx(ctx context.Context, tx pgx.Tx, e Entry, amount Amount) error {
	type given struct{ Returned Amount }
	back, err := dbscope.TxRow[given](ctx, tx,
		`WITH candidates AS (
			SELECT transaction_id, burnt,
			       sum(burnt) OVER (ORDER BY priority DESC, expires_at DESC NULLS FIRST, promotional, sequence DESC) - burnt AS before
			FROM credits.lots
			WHERE user_id = $1 AND burnt > 0 AND (expires_at IS NULL OR expires_at > clock_timestamp())
		), returned AS (
			UPDATE credits.lots AS l
			SET remaining = l.remaining + least(c.burnt, $2::bigint - c.before), burnt = l.burnt - least(c.burnt, $2::bigint - c.before)
			FROM candidates AS c
			WHERE l.transaction_id = c.transaction_id AND c.before < $2::bigint
			RETURNING least(c.burnt, $2::bigint - c.before) AS take)
		SELECT coalesce(sum(take), 0)::bigint AS returned FROM returned`, e.UserID, int64(amount))
	if err != nil {
		return err
	}
	if rest := amount - back.Returned; rest > 0 {
		if err := s.addLotTx(ctx, tx, e, rest, Grant{Source: SourceRefund}); err != nil {
			return err
		}
	}
	return s.nextExpiryTx(ctx, tx, e.UserID)
}
