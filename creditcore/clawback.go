package creditcore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// Clawback takes back credits whose payment was taken back, or gives them
// again. Reference names the grant. InternalKey makes a repetition a replay.
type Clawback struct {
	UserID      string
	Reference   string
	Amount      Amount
	AppID       string
	Description string
	Metadata    json.RawMessage
	InternalKey string
	// Follow takes redeemed gifts of the credits back from those who have them.
	Follow bool
	// SpareBought leaves credits alone that were bought by themselves.
	SpareBought bool
	// LotOnly takes what is left of the grant, and nothing else is owed.
	LotOnly bool
}

// Reversal is what became of a clawback: Taken from accounts, the caller's
// and those of redeemed gifts, and Owed by them from now on.
type Reversal struct{ Taken, Owed Amount }

// ClawbackTx takes credits back, as far as they have not expired. It looks for
// them in this order: what is left of the grant; open gifts made of it, which
// end; with Follow what others have of such gifts, and of gifts made of those;
// the account's other credits. What is not found is a debt of the account, or
// of those who have it reserved by holds. Ledger rows are written for what is
// taken; what was earned falls by it.
//
// It locks the accounts that have of the credits, and fails with [ErrBusy]
// where they change hands too fast.
func (s *Service) ClawbackTx(ctx context.Context, tx pgx.Tx, c Clawback) (Reversal, error) {
	err := checkRequest(c.UserID, c.Amount, "", c.Metadata,
		text{"appId", c.AppID}, text{"description", c.Description}, text{"reference", c.Reference})
	if err != nil {
		return Reversal{}, err
	}
	v := reversal{s: s, tx: tx, Clawback: c}
	if err := v.run(ctx); err != nil {
		return Reversal{}, dbError(err)
	}
	return v.result, nil
}

// reversal is a clawback under way.
type reversal struct {
	s  *Service
	tx pgx.Tx
	Clawback
	root   string // the lot of the grant; empty where there is none
	left   Amount // to be found
	rows   int    // written to ledgers
	result Reversal
}

func (v *reversal) run(ctx context.Context) error {
	done, err := v.begin(ctx)
	if done || err != nil {
		return err
	}
	if v.root != "" {
		if err := v.trace(ctx, v.root, v.UserID); err != nil {
			return err
		}
	}
	if v.LotOnly {
		return nil
	}
	if err := v.takeOthers(ctx); err != nil {
		return err
	}
	return v.owe(ctx, v.UserID, v.left)
}

// begin locks what the credits may be found in. done means that the clawback
// was made before.
func (v *reversal) begin(ctx context.Context) (done bool, err error) {
	if err := v.lock(ctx); err != nil {
		return false, err
	}
	a, err := v.s.lockTx(ctx, v.tx, v.UserID)
	if err != nil {
		return false, err
	}
	before, err := dbscope.TxRow[Reversal](ctx, v.tx,
		`SELECT coalesce(sum(amount) FILTER (WHERE kind <> 'owed'), 0)::bigint AS taken,
		        coalesce(sum(amount) FILTER (WHERE kind = 'owed'), 0)::bigint AS owed
		 FROM credits.clawbacks
		 WHERE user_id = $1 AND internal_key = $2`, v.UserID, v.InternalKey)
	if err != nil || before != (Reversal{}) {
		v.result = before
		return true, err
	}
	if err := v.s.burnTx(ctx, v.tx, &a); err != nil {
		return false, err
	}
	type root struct {
		ID   string
		Most Amount
	}
	// What expired is not owed, unless it came back for a while.
	r, err := dbscope.TxRow[root](ctx, v.tx,
		`SELECT l.id, (l.granted
		   - greatest(l.clawed_back, (SELECT sum(c.amount - c.returned) FROM credits.clawbacks AS c
		                              WHERE c.user_id = $1 AND c.reference = $2))
		   - greatest(0, l.expired - (SELECT coalesce(sum(k.granted), 0) FROM credits.lots AS k
		                              WHERE k.parent = l.id AND k.user_id = $1)))::bigint AS most
		 FROM credits.lots AS l
		 WHERE l.user_id = $1 AND l.reference = $2`, v.UserID, v.Reference)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // granted before there were lots
		v.left = v.Amount
	case err != nil:
		return false, err
	default:
		v.root, v.left = r.ID, max(0, min(v.Amount, r.Most))
	}
	return false, nil
}

// trace takes what is left of a lot, what open gifts hold of it, and what came
// of it elsewhere, the newest first.
func (v *reversal) trace(ctx context.Context, lotID, holderID string) error {
	kept, err := v.takeLot(ctx, lotID, holderID)
	if err != nil || v.left == 0 || v.LotOnly {
		return err
	}
	gifts, err := v.reservations(ctx, []string{lotID})
	if err != nil {
		return err
	}
	for _, id := range gifts {
		if v.left == 0 {
			return nil
		}
		if err := v.s.gifts.WithdrawTx(ctx, v.tx, id); err != nil {
			return fmt.Errorf("withdraw a gift: %w", err)
		}
		if kept, err = v.takeLot(ctx, lotID, holderID); err != nil {
			return err
		}
	}
	children, err := v.children(ctx, lotID)
	if err != nil {
		return err
	}
	for _, child := range children {
		if v.left == 0 {
			return nil
		}
		if child.UserID != v.UserID && !v.Follow {
			continue
		}
		if err := v.trace(ctx, child.ID, child.UserID); err != nil {
			return err
		}
	}
	if holderID == v.UserID {
		return nil // it is taken of the account's other credits, or owed at the end
	}
	return v.owe(ctx, holderID, min(v.left, kept))
}

// takeLot takes what is left of a lot and available, and returns what holds
// keep of it.
func (v *reversal) takeLot(ctx context.Context, lotID, holderID string) (kept Amount, err error) {
	if v.left == 0 {
		return 0, nil
	}
	a, err := v.s.lockTx(ctx, v.tx, holderID)
	if err != nil {
		return 0, err
	}
	if err := v.s.burnTx(ctx, v.tx, &a); err != nil {
		return 0, err
	}
	type lot struct{ Remaining Amount }
	l, err := dbscope.TxRow[lot](ctx, v.tx, `SELECT remaining FROM credits.lots WHERE id = $1`, lotID)
	if err != nil {
		return 0, err
	}
	n := min(v.left, l.Remaining, a.Balance-a.Held)
	if n <= 0 {
		return l.Remaining, nil
	}
	_, err = v.tx.Exec(ctx, `UPDATE credits.lots SET remaining = remaining - $2, clawed_back = clawed_back + $2 WHERE id = $1`, lotID, int64(n))
	if err == nil {
		err = v.post(ctx, &a, "lot", lotID, n)
	}
	return l.Remaining - n, err
}

// takeOthers takes of the account's other credits.
func (v *reversal) takeOthers(ctx context.Context) error {
	if v.left == 0 {
		return nil
	}
	a, err := v.s.lockTx(ctx, v.tx, v.UserID)
	if err != nil || a.Balance <= a.Held {
		return err
	}
	type taken struct{ Amount Amount }
	n, err := dbscope.TxRow[taken](ctx, v.tx, `SELECT `+functions.Schema+`.take($1, $2, $3) AS amount`,
		v.UserID, int64(min(v.left, a.Balance-a.Held)), v.SpareBought)
	if err != nil || n.Amount == 0 {
		return err
	}
	return v.post(ctx, &a, "others", "", n.Amount)
}

// owe makes a debt of what was not found, or is reserved.
func (v *reversal) owe(ctx context.Context, holderID string, n Amount) error {
	if n <= 0 {
		return nil
	}
	if err := v.s.changeDebtTx(ctx, v.tx, v.Clawback, holderID, "incurred", n); err != nil {
		return err
	}
	v.result.Owed += n
	return v.found(ctx, "owed", holderID, "", n)
}

// post writes the ledger row of what was taken from an account.
func (v *reversal) post(ctx context.Context, a *locked, kind, lotID string, n Amount) error {
	p := posting{Type: Adjustment, Earned: -n, AppID: v.AppID, Description: v.Description, Metadata: v.Metadata, InternalKey: v.InternalKey}
	if a.UserID != v.UserID { // the payment is not theirs to know of
		p.Description, p.Metadata = "Gift taken back: its credits were not paid for", nil
	}
	if v.rows++; v.rows > 1 && p.InternalKey != "" {
		p.InternalKey = fmt.Sprintf("%s:%d", p.InternalKey, v.rows)
	}
	if _, err := v.s.postTx(ctx, v.tx, a, p); err != nil {
		return err
	}
	v.result.Taken += n
	return v.found(ctx, kind, a.UserID, lotID, n)
}

// found notes where credits were found, and charges the grant with what was
// not left of it.
func (v *reversal) found(ctx context.Context, kind, holderID, lotID string, n Amount) error {
	v.left -= n
	_, err := v.tx.Exec(ctx,
		`INSERT INTO credits.clawbacks (user_id, reference, internal_key, kind, holder_id, lot_id, amount)
		 VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		v.UserID, v.Reference, v.InternalKey, kind, holderID, dbscope.NullText(lotID), int64(n))
	if err != nil || v.root == "" || lotID == v.root {
		return err
	}
	column := "burnt"
	if kind == "lot" {
		column = "given"
	}
	_, err = v.tx.Exec(ctx,
		`UPDATE credits.lots SET `+column+` = `+column+` - least(`+column+`, $2::bigint), clawed_back = clawed_back + least(`+column+`, $2::bigint)
		 WHERE id = $1`, v.root, int64(n))
	return err
}
