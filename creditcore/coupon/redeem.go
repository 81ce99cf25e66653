package coupon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// appID is the app of the ledger rows.
const appID = "coupon"

// Claim asks for what a coupon gives.
type Claim struct {
	UserID string
	Code   string // as it was typed, see [ParseCode]
	Key    string // the client's idempotency key
	Record Recorder
}

// Redemption is what a coupon gave. Replayed marks the answer to a repeated claim;
// Balance is what the redeemer has now.
type Redemption struct {
	ID            string
	CouponID      string
	Name          string // of the coupon
	Credits       creditcore.Amount
	ExpiresAt     *time.Time // of the credits
	TransactionID string
	CreatedAt     time.Time
	Balance       creditcore.Amount
	Replayed      bool
}

// maxKey bounds an idempotency key, in bytes.
const maxKey = 255

// Redeem gives the account what a coupon gives. It fails with a [Refusal], with
// [creditcore.ErrKeyReused] where the key came with another coupon,
// [ErrNoSecret], or an error of the ledger. A key is kept with a success only.
func (s *Service) Redeem(ctx context.Context, c Claim) (r Redemption, err error) {
	if len(c.Key) > maxKey {
		return r, fmt.Errorf("%w: idempotencyKey is too long", creditcore.ErrInvalid)
	}
	code, ok := ParseCode(c.Code)
	if !ok {
		tell(s.observe.Coupon, "refused")
		return r, Unknown
	}
	keys, err := s.openKeys(ctx)
	if err != nil {
		return r, err
	}
	for range 2 { // a twin under the same key was quicker: its answer is this one's
		err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
			r, err = s.redeemTx(ctx, tx, keys, code, c)
			return err
		})
		if c.Key == "" || !errors.Is(err, Used) {
			break
		}
	}
	refused := Refusal("")
	switch {
	case err == nil && !r.Replayed:
		tell(s.observe.Coupon, "redeemed")
	case errors.As(err, &refused):
		tell(s.observe.Coupon, "refused")
	}
	if err != nil {
		return Redemption{}, err
	}
	if r.Replayed {
		b, err := s.ledger.BalanceOf(ctx, c.UserID)
		r.Balance = b.Available
		return r, err
	}
	return r, nil
}

// redeemTx refuses what it can before it locks anything. What others do meanwhile is
// found by the constraints of a redemption, and when the coupon counts it at the end.
func (s *Service) redeemTx(ctx context.Context, tx pgx.Tx, k *keys, code Code, c Claim) (Redemption, error) {
	stored, err := dbscope.TxRow[row](ctx, tx, `SELECT `+rowColumns+` FROM credits.coupons AS c WHERE c.code_hash = $1`, k.codeHash(code))
	if errors.Is(err, pgx.ErrNoRows) {
		return Redemption{}, Unknown
	}
	if err != nil {
		return Redemption{}, err
	}
	found := stored.coupon()
	if r, ok, err := replayTx(ctx, tx, found, c); ok || err != nil {
		return r, err
	}
	now := s.now()
	p, err := s.personTx(ctx, tx, c.UserID)
	if err != nil {
		return Redemption{}, err
	}
	who := k.personHash(p.Mailbox)
	type before struct{ Used bool }
	b, err := dbscope.TxRow[before](ctx, tx,
		`SELECT EXISTS (SELECT FROM credits.coupon_redemptions AS r WHERE r.coupon_id = $1 AND (r.user_id = $2 OR r.person = $3)) AS used`,
		found.ID, c.UserID, who)
	if err != nil {
		return Redemption{}, err
	}
	if refusal := found.refusal(p, b.Used, now); refusal != "" {
		return Redemption{}, refusal
	}
	room, err := countDomainTx(ctx, tx, k, found.ID, p, found.DomainLimit)
	if err != nil {
		return Redemption{}, err
	}
	if !room {
		return Redemption{}, DomainLimit
	}
	return s.giveTx(ctx, tx, found, c, who, now)
}

// refusal is why the coupon gives somebody nothing, empty where it does.
func (c Coupon) refusal(p person, used bool, now time.Time) Refusal {
	switch {
	case used: // comes first: who was given the credits need not wonder
		return Used
	case c.EndedAt != nil, c.EndsAt != nil && !now.Before(*c.EndsAt):
		return Ended
	case now.Before(c.StartsAt):
		return NotStarted
	case c.MaxRedemptions > 0 && c.Redeemed >= c.MaxRedemptions:
		return Depleted
	case !p.Verified:
		return Unverified
	case len(c.Domains) > 0 && !p.of(c.Domains):
		return OtherDomain
	case c.NewWithin > 0 && now.Sub(p.CreatedAt) > c.NewWithin:
		return NotNew
	}
	return ""
}

// giveTx writes a redemption. The coupon is locked last, and for the shortest time:
// all who redeem it wait for its row.
func (s *Service) giveTx(ctx context.Context, tx pgx.Tx, c Coupon, claim Claim, who []byte, now time.Time) (Redemption, error) {
	r := Redemption{ID: newID(), CouponID: c.ID, Name: c.Name, Credits: c.Credits, ExpiresAt: c.creditsEnd(now), CreatedAt: now}
	metadata, err := json.Marshal(map[string]string{"couponId": c.ID, "coupon": c.Name})
	if err != nil {
		return Redemption{}, err
	}
	name := "coupon:" + c.ID + ":" + claim.UserID
	receipt, err := s.ledger.GrantTx(ctx, tx, creditcore.Grant{
		UserID: claim.UserID, Amount: c.Credits, Type: creditcore.Gift, Source: creditcore.SourcePromotion,
		AppID: appID, Description: "Coupon: " + c.Name, Metadata: metadata, InternalKey: name, Reference: "coupon:" + c.ID, ExpiresAt: r.ExpiresAt,
	})
	if err != nil {
		return Redemption{}, err
	}
	if receipt.Replayed { // they redeem it twice at once
		return Redemption{}, Used
	}
	r.TransactionID, r.Balance = receipt.Entry.ID, receipt.Balance.Available
	if _, err := tx.Exec(ctx,
		`INSERT INTO credits.coupon_redemptions (id, coupon_id, user_id, person, amount, transaction_id, idempotency_key, created_at)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.ID, c.ID, claim.UserID, who, int64(c.Credits), r.TransactionID, dbscope.NullText(claim.Key), now); err != nil {
		return Redemption{}, err
	}
	if err := claim.Record.tell(ctx, tx, c.ID, c.Name, c.Credits); err != nil {
		return Redemption{}, err
	}
	tag, err := tx.Exec(ctx,
		`UPDATE credits.coupons SET redeemed = redeemed + 1
		 WHERE id = $1 AND ended_at IS NULL AND (max_redemptions IS NULL OR redeemed < max_redemptions)`, c.ID)
	if err != nil || tag.RowsAffected() > 0 {
		return r, err
	}
	type state struct{ Ended bool }
	after, err := dbscope.TxRow[state](ctx, tx, `SELECT c.ended_at IS NOT NULL AS ended FROM credits.coupons AS c WHERE c.id = $1`, c.ID)
	switch {
	case err != nil:
		return Redemption{}, err
	case after.Ended:
		return Redemption{}, Ended
	}
	return Redemption{}, Depleted
}

// creditsEnd is when credits end that are given now, nil for never.
func (c Coupon) creditsEnd(now time.Time) *time.Time {
	end := c.CreditsExpireAt
	if c.CreditsLife > 0 {
		if at := now.Add(c.CreditsLife); end == nil || at.Before(*end) {
			end = &at
		}
	}
	return end
}

// replayTx answers a claim whose key stands for one that succeeded.
func replayTx(ctx context.Context, tx pgx.Tx, c Coupon, claim Claim) (Redemption, bool, error) {
	if claim.Key == "" {
		return Redemption{}, false, nil
	}
	r, err := dbscope.TxRow[Redemption](ctx, tx,
		`SELECT `+redemptionColumns+`, 0::bigint AS balance, true AS replayed FROM `+redemptionTables+`
		 WHERE r.user_id = $1 AND r.idempotency_key = $2`, claim.UserID, claim.Key)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Redemption{}, false, nil
	case err != nil:
		return Redemption{}, false, err
	case r.CouponID != c.ID:
		return Redemption{}, false, creditcore.ErrKeyReused
	}
	return r, true, nil
}

const (
	redemptionColumns = `r.id, r.coupon_id, c.name, r.amount AS credits, r.transaction_id, r.created_at,
	(SELECT l.expires_at FROM credits.lots AS l WHERE l.transaction_id = r.transaction_id AND l.user_id = r.user_id LIMIT 1) AS expires_at`
	redemptionTables = `credits.coupon_redemptions AS r JOIN credits.coupons AS c ON c.id = r.coupon_id`
)

// mostRedemptions bounds a list of them.
const mostRedemptions = 1000

// RedemptionsOf lists what a user redeemed, the newest first, a thousand at most.
// Their Balance is not told.
func (s *Service) RedemptionsOf(ctx context.Context, userID string) ([]Redemption, error) {
	return dbscope.List[Redemption](ctx, s.db, system(),
		`SELECT `+redemptionColumns+`, 0::bigint AS balance, false AS replayed FROM `+redemptionTables+`
		 WHERE r.user_id = $1 ORDER BY r.created_at DESC, r.id DESC LIMIT $2`, userID, mostRedemptions)
}
