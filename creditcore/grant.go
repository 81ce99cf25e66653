package creditcore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Source tells where the credits of a lot came from. Purchased ones and those
// of a subscription were paid for; the rest are promotional.
type Source string

// Sources of a lot.
const (
	SourcePurchase     Source = "purchase"
	SourceGift         Source = "gift"
	SourceSubscription Source = "subscription"
	SourceRefund       Source = "refund"
	SourceAdmin        Source = "admin"
	SourcePromotion    Source = "promotion" // coupons, trials, and what guests and days give
)

// Grant gives credits, which become a lot.
type Grant struct {
	UserID      string // the account
	Amount      Amount
	Type        EntryType // Purchase, Gift, …
	Source      Source
	AppID       string
	Description string
	Metadata    json.RawMessage
	Key         string // a client's idempotency key
	// InternalKey makes a second grant under it a replay, whatever it says.
	InternalKey string
	ExpiresAt   *time.Time // nil: never
	Priority    int        // smaller burns first
	// Reference names the lot for [Service.ClawbackTx], once an account.
	Reference string
	// Gift is the reservation that the credits come out of, see
	// [Service.ReserveTx]: they keep the source and the end of the lots they
	// were taken from. Source and ExpiresAt are for what came from none.
	Gift string
	// By is the member who bought for the organisation whose account it is.
	By string
}

// Grant gives credits in a transaction of its own.
func (s *Service) Grant(ctx context.Context, g Grant) (r Receipt, err error) {
	err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		r, err = s.GrantTx(ctx, tx, g)
		return err
	})
	return r, err
}

// GrantTx gives credits in the caller's transaction. They pay what the account
// owes first: the receipt's Balance is what is left. It fails with
// [ErrAccountNotFound], [ErrKeyReused] or [ErrInvalid].
func (s *Service) GrantTx(ctx context.Context, tx pgx.Tx, g Grant) (Receipt, error) {
	err := checkRequest(g.UserID, g.Amount, g.Key, g.Metadata,
		text{"appId", g.AppID}, text{"description", g.Description}, text{"reference", g.Reference})
	if err != nil {
		return Receipt{}, err
	}
	var mark []byte
	if g.Key != "" {
		mark = fingerprintOf("grant "+string(g.Source), g.Amount, g.Metadata, g.AppID, g.Description, g.Reference)
	}
	a, err := s.lockTx(ctx, tx, g.UserID)
	if err != nil {
		return Receipt{}, dbError(err)
	}
	if r, found, err := s.replayTx(ctx, tx, a, clientOf(g.UserID, g.By), g.Key, g.InternalKey, mark); found || err != nil {
		return r, dbError(err)
	}
	if err := s.burnTx(ctx, tx, &a); err != nil {
		return Receipt{}, dbError(err)
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: g.Type, Earned: g.Amount, AppID: g.AppID, Description: g.Description, Metadata: g.Metadata,
		Key: g.Key, Fingerprint: mark, InternalKey: g.InternalKey, SpentBy: g.By,
	})
	if err == nil {
		err = s.addLotsTx(ctx, tx, e, g)
	}
	if err == nil && a.Debt > 0 {
		a, err = s.payDebtTx(ctx, tx, a, e)
	}
	if err != nil {
		return Receipt{}, dbError(err)
	}
	if s.observe.Grant != nil {
		s.observe.Grant(string(g.Source), g.Amount)
	}
	return Receipt{Entry: e, Balance: a.of(g.UserID)}, nil
}

// addLotsTx makes the lots of a ledger row: one, or one for each part that a
// gift passes on.
func (s *Service) addLotsTx(ctx context.Context, tx pgx.Tx, e Entry, g Grant) error {
	left := e.Amount
	if g.Gift != "" {
		passed, err := s.passOnTx(ctx, tx, e, g)
		if err != nil {
			return err
		}
		left -= passed
	}
	if left > 0 {
		_, err := tx.Exec(ctx,
			`INSERT INTO credits.lots (transaction_id, user_id, sequence, source, priority, reference, granted, remaining, expires_at, created_at)
			 VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)`,
			e.ID, e.UserID, e.Sequence, string(g.Source), g.Priority, dbscope.NullText(g.Reference), int64(left), g.ExpiresAt, e.CreatedAt)
		if err != nil {
			return err
		}
	}
	return s.nextExpiryTx(ctx, tx, e.UserID)
}

// nextExpiryTx notes when the next lot of an account expires.
func (s *Service) nextExpiryTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx,
		`UPDATE credits.balances
		 SET next_expiry = (SELECT min(l.expires_at) FROM credits.lots AS l WHERE l.user_id = $1 AND l.remaining > 0)
		 WHERE user_id = $1`, userID)
	return err
}
