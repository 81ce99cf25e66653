package authcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
)

// Hooks let the rooms around the core take part in the life of an account.
// Each may be nil.
type Hooks struct {
	// RegisterTx runs in the transaction that makes an account, in the scope of
	// the system, with the client that asks for it, the zero one of an operator.
	// Its error undoes the account and comes back as it is.
	RegisterTx func(ctx context.Context, tx pgx.Tx, u User, client principal.Client) error
	// RegisterAgainTx runs in the transaction of a registration whose address has an
	// account where nobody may learn that. What it does must not tell it either.
	RegisterAgainTx func(ctx context.Context, tx pgx.Tx, client principal.Client) error
	// Registered runs once an account is made, before its maker gets it. ctx
	// outlives the request; bound what is done with it.
	Registered func(ctx context.Context, u User)
	// Verified runs once an address is proven, also where it was before. ctx
	// outlives the request.
	Verified func(ctx context.Context, u User)
	// EraseTx runs in the transaction that closes an account for ever, in the
	// scope of the system, with the account as it was. Its error undoes all.
	EraseTx func(ctx context.Context, tx pgx.Tx, u User) error
	// Deleted runs once an account is closed by its owner. ctx outlives the
	// request.
	Deleted func(ctx context.Context, userID string)
	// SeatsTx says how many members an organisation may have by what it pays for, in
	// the transaction that invites or adds one, in the scope of the system; zero is any
	// number.
	SeatsTx func(ctx context.Context, tx pgx.Tx, organizationID string) (int, error)
	// DissolveTx runs in the transaction that deletes an organisation, before it
	// is gone, in the scope of the system. What it has goes to the heir, a user,
	// empty where nobody is left. Its error undoes all.
	DissolveTx func(ctx context.Context, tx pgx.Tx, organizationID, heirID string) error
	// Dissolved runs once an organisation is deleted. ctx outlives the request.
	Dissolved func(ctx context.Context, organizationID string)
}

func (h Hooks) withDefaults() Hooks {
	if h.RegisterTx == nil {
		h.RegisterTx = func(context.Context, pgx.Tx, User, principal.Client) error { return nil }
	}
	if h.RegisterAgainTx == nil {
		h.RegisterAgainTx = func(context.Context, pgx.Tx, principal.Client) error { return nil }
	}
	if h.Registered == nil {
		h.Registered = func(context.Context, User) {}
	}
	if h.Verified == nil {
		h.Verified = func(context.Context, User) {}
	}
	if h.EraseTx == nil {
		h.EraseTx = func(context.Context, pgx.Tx, User) error { return nil }
	}
	if h.Deleted == nil {
		h.Deleted = func(context.Context, string) {}
	}
	if h.SeatsTx == nil {
		h.SeatsTx = func(context.Context, pgx.Tx, string) (int, error) { return 0, nil }
	}
	if h.DissolveTx == nil {
		h.DissolveTx = func(context.Context, pgx.Tx, string, string) error { return nil }
	}
	if h.Dissolved == nil {
		h.Dissolved = func(context.Context, string) {}
	}
	return h
}
