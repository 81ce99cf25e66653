package creditcore

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Gifts is what a clawback needs of the gifts that are made of an account's
// credits. Each is named by its reservation.
type Gifts interface {
	// LockTx locks the open ones of them, before any account is locked.
	LockTx(ctx context.Context, tx pgx.Tx, reservations []string) error
	// WithdrawTx ends one, if it is open, and gives back what nobody claimed.
	WithdrawTx(ctx context.Context, tx pgx.Tx, reservation string) error
}

// UseGifts says who keeps the gifts. It is to be called before the service is
// used; without it no gift is withdrawn.
func (s *Service) UseGifts(g Gifts) { s.gifts = g }

// noGifts keeps none.
type noGifts struct{}

func (noGifts) LockTx(context.Context, pgx.Tx, []string) error   { return nil }
func (noGifts) WithdrawTx(context.Context, pgx.Tx, string) error { return nil }

// lot is one with whose it is.
type lot struct{ ID, UserID string }

// lock locks the open gifts and then the accounts that have of the grant's
// credits. What changed hands before the locks were there is looked for again.
func (v *reversal) lock(ctx context.Context) error {
	var gifts, users []string
	for range 4 {
		lots, err := v.descent(ctx)
		if err != nil {
			return err
		}
		ids, holders := make([]string, len(lots)), []string{v.UserID}
		for i, l := range lots {
			ids[i] = l.ID
			holders = append(holders, l.UserID)
		}
		open, err := v.reservations(ctx, ids)
		if err != nil {
			return err
		}
		if gifts != nil && within(open, gifts) && within(holders, users) {
			return nil
		}
		if gifts, users = append(gifts, open...), append(users, holders...); gifts == nil {
			gifts = []string{}
		}
		if err := v.s.gifts.LockTx(ctx, v.tx, open); err != nil {
			return err
		}
		if err := v.s.LockTx(ctx, v.tx, holders...); err != nil {
			return err
		}
	}
	return ErrBusy
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// descent is the grant's lot and all that came of it and is followed.
func (v *reversal) descent(ctx context.Context) ([]lot, error) {
	found, err := v.tx.Query(ctx,
		`WITH RECURSIVE descent AS (
			SELECT id, user_id FROM credits.lots WHERE user_id = $1 AND reference = $2
			UNION ALL
			SELECT l.id, l.user_id
			FROM descent AS d
			JOIN credits.lots AS l ON l.parent = d.id
			WHERE NOT $4 AND (l.user_id = $1 OR $3))
		SELECT id, user_id FROM descent`, v.UserID, v.Reference, v.Follow, v.LotOnly)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByName[lot])
}

// children are the lots that came of one, the newest first.
func (v *reversal) children(ctx context.Context, lotID string) ([]lot, error) {
	found, err := v.tx.Query(ctx,
		`SELECT id, user_id FROM credits.lots WHERE parent = $1 ORDER BY created_at DESC, id`, lotID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByName[lot])
}

// reservations are those that still hold credits of the lots, the newest first.
func (v *reversal) reservations(ctx context.Context, lots []string) ([]string, error) {
	if v.LotOnly {
		return nil, nil
	}
	found, err := v.tx.Query(ctx,
		`SELECT d.transaction_id
		 FROM credits.draws AS d
		 JOIN credits.transactions AS t ON t.id = d.transaction_id
		 WHERE d.lot_id = ANY ($1::text[]) AND d.amount > d.passed_on + d.returned
		 GROUP BY d.transaction_id
		 ORDER BY min(t.created_at) DESC, d.transaction_id`, lots)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}
