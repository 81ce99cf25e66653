package creditcore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// ReinstateTx undoes clawbacks of a grant, at most what they came to: first
// what is still owed for it is owed no more, then those from whom redeemed
// gifts were taken get their credits again, then the account its own. Where the
// time of a lot is over they have 72 hours. It fails with [ErrRefundExceeds]
// beyond what was clawed back.
func (s *Service) ReinstateTx(ctx context.Context, tx pgx.Tx, c Clawback) error {
	err := checkRequest(c.UserID, c.Amount, "", c.Metadata, text{"appId", c.AppID}, text{"description", c.Description})
	if err != nil {
		return err
	}
	v := reinstatement{reversal{s: s, tx: tx, Clawback: c, left: c.Amount}}
	return dbError(v.run(ctx))
}

// reinstatement is one under way.
type reinstatement struct{ reversal }

// clawed is what was once taken back.
type clawed struct {
	ID       string
	Kind     string
	HolderID string
	LotID    *string
	Left     Amount
}

func (v *reinstatement) run(ctx context.Context) error {
	list, done, err := v.begin(ctx)
	if done || err != nil {
		return err
	}
	if err := v.cancelDebts(ctx, list); err != nil {
		return err
	}
	var own Amount
	for i, c := range list {
		n := min(v.left, c.Left)
		if n == 0 {
			continue
		}
		if err := v.undo(ctx, &list[i], n); err != nil {
			return err
		}
		if c.HolderID == v.UserID {
			own += n
			continue
		}
		if err := v.giveBack(ctx, c.HolderID, c.LotID, n, "Gift given again: its credits were paid for"); err != nil {
			return err
		}
	}
	return v.giveBack(ctx, v.UserID, nil, own+v.left, v.Description)
}

// begin locks all accounts concerned, and lists what can be undone: that of
// others first. What was clawed back before such lists were kept is not in it,
// but in the lot.
func (v *reinstatement) begin(ctx context.Context) (list []clawed, done bool, err error) {
	holders, err := v.holders(ctx)
	if err != nil {
		return nil, false, err
	}
	if err := v.s.LockTx(ctx, v.tx, append(holders, v.UserID)...); err != nil {
		return nil, false, err
	}
	a, err := v.s.lockTx(ctx, v.tx, v.UserID)
	if err != nil {
		return nil, false, err
	}
	if _, done, err = v.s.replayTx(ctx, v.tx, a, "", "", v.InternalKey, nil); done || err != nil {
		return nil, done, err
	}
	found, err := v.tx.Query(ctx,
		`SELECT id, kind, holder_id, lot_id, amount - returned AS left
		 FROM credits.clawbacks
		 WHERE user_id = $1 AND reference = $2 AND amount > returned
		 ORDER BY holder_id = $1, created_at DESC, id`, v.UserID, v.Reference)
	if err != nil {
		return nil, false, err
	}
	if list, err = pgx.CollectRows(found, pgx.RowToStructByName[clawed]); err != nil {
		return nil, false, err
	}
	type root struct {
		ID         string
		ClawedBack Amount
	}
	found, err = v.tx.Query(ctx,
		`SELECT id, clawed_back FROM credits.lots WHERE user_id = $1 AND reference = $2`, v.UserID, v.Reference)
	if err != nil {
		return nil, false, err
	}
	lots, err := pgx.CollectRows(found, pgx.RowToStructByName[root])
	if err != nil {
		return nil, false, err
	}
	var most Amount
	for _, c := range list {
		most += c.Left
	}
	for _, l := range lots {
		v.root, most = l.ID, max(most, l.ClawedBack)
	}
	if v.Amount > most {
		return nil, false, ErrRefundExceeds
	}
	return list, false, nil
}

func (v *reinstatement) holders(ctx context.Context) ([]string, error) {
	found, err := v.tx.Query(ctx,
		`SELECT DISTINCT holder_id FROM credits.clawbacks WHERE user_id = $1 AND reference = $2`, v.UserID, v.Reference)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// cancelDebts ends what is still owed for the grant, as far as it is
// reinstated: nobody gets credits for that, nor for what was forgiven.
func (v *reinstatement) cancelDebts(ctx context.Context, list []clawed) error {
	for i := range list {
		c := &list[i]
		if c.Kind != "owed" || v.left == 0 {
			continue
		}
		debt, err := v.s.debtTx(ctx, v.tx, v.UserID, c.HolderID, v.Reference)
		if err != nil {
			return err
		}
		owed := min(v.left, c.Left, debt.Owed)
		if owed > 0 {
			if err := v.s.changeDebtTx(ctx, v.tx, v.Clawback, c.HolderID, "reinstated", -owed); err != nil {
				return err
			}
		}
		n := min(v.left, c.Left, owed+debt.Forgiven)
		if n == 0 {
			continue
		}
		if err := v.undo(ctx, c, n); err != nil {
			return err
		}
		if v.root == "" {
			continue
		}
		_, err = v.tx.Exec(ctx,
			`UPDATE credits.lots SET burnt = burnt + least(clawed_back, $2::bigint), clawed_back = clawed_back - least(clawed_back, $2::bigint)
			 WHERE id = $1`, v.root, int64(n))
		if err != nil {
			return err
		}
	}
	return nil
}

// undo notes that so much of a clawback was undone.
func (v *reinstatement) undo(ctx context.Context, c *clawed, n Amount) error {
	c.Left -= n
	v.left -= n
	_, err := v.tx.Exec(ctx, `UPDATE credits.clawbacks SET returned = returned + $2 WHERE id = $1`, c.ID, int64(n))
	return err
}

// giveBack gives an account credits again: to the lot they were taken from, or
// as one of the grant's.
func (v *reinstatement) giveBack(ctx context.Context, userID string, lotID *string, n Amount, description string) error {
	if n == 0 {
		return nil
	}
	a, err := v.s.lockTx(ctx, v.tx, userID)
	if err != nil {
		return err
	}
	if err := v.s.burnTx(ctx, v.tx, &a); err != nil {
		return err
	}
	p := posting{Type: Adjustment, Earned: n, AppID: v.AppID, Description: description, InternalKey: v.InternalKey}
	if userID == v.UserID {
		p.Metadata = v.Metadata
	} else if v.rows++; p.InternalKey != "" {
		p.InternalKey = fmt.Sprintf("%s:%d", p.InternalKey, v.rows)
	}
	e, err := v.s.postTx(ctx, v.tx, &a, p)
	if err != nil {
		return err
	}
	if lotID == nil {
		lotID = dbscope.NullText(v.root)
	}
	if _, err := v.tx.Exec(ctx, `SELECT `+functions.Schema+`.reinstate($1, $2, $3, $4)`, e.ID, lotID, dbscope.NullText(v.root), int64(n)); err != nil {
		return err
	}
	if err := v.s.nextExpiryTx(ctx, v.tx, userID); err != nil {
		return err
	}
	_, err = v.s.payDebtTx(ctx, v.tx, a, e)
	return err
}
