package apikey

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// CutTx refuses what a key that is no more has been used for, and ends what is
// open of it.
func CutTx(ctx context.Context, tx pgx.Tx, k Key) (revocation.Revocation, error) {
	return dbscope.TxRow[revocation.Revocation](ctx, tx,
		`INSERT INTO auth.revocations (user_id, session_id, reason) VALUES ($1, $2, $3) RETURNING `+revocation.Columns,
		k.UserID, SessionOf(k.ID), revocation.ReasonKeyRevoked)
}

// CutAllOfTx ends the live keys of an organisation, and what is open of them.
func CutAllOfTx(ctx context.Context, tx pgx.Tx, organizationID string) ([]revocation.Revocation, error) {
	keys, err := RevokeAllOfTx(ctx, tx, organizationID)
	if err != nil {
		return nil, err
	}
	revs := make([]revocation.Revocation, 0, len(keys))
	for _, k := range keys {
		cut, err := CutTx(ctx, tx, k)
		if err != nil {
			return nil, err
		}
		revs = append(revs, cut)
	}
	return revs, nil
}
