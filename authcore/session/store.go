package session

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// Store writes sessions and ends them.
type Store struct {
	DB     dbscope.DB
	Mailer notice.Mailer
	Now    func() time.Time
	// Announce tells every edge what was revoked, once that is committed.
	Announce func(...revocation.Revocation)
	// MaxAge is the longest life of a session, whatever moves its end on.
	MaxAge time.Duration
	// SecondFactorRequired cuts off tokens that say otherwise of an account's second
	// factor than is so.
	SecondFactorRequired bool
}

// AsUser runs a transaction in the scope of the system on the caller's account,
// whose row is locked, and wakes the mailer after it. It fails with
// [account.ErrNotFound].
func (s *Store) AsUser(ctx context.Context, c principal.Caller, fn func(context.Context, pgx.Tx, account.User) error) error {
	return s.OnAccount(ctx, c.UserID, fn)
}

// OnAccount is AsUser for whoever acts on the account. Where a second factor is
// required, tokens that say otherwise of the account's than is so after fn are cut
// off; its sessions live on and give new ones.
func (s *Store) OnAccount(ctx context.Context, userID string, fn func(context.Context, pgx.Tx, account.User) error) error {
	_, err := s.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		u, err := account.LockTx(ctx, tx, userID)
		if err != nil {
			return nil, err
		}
		if err := fn(ctx, tx, u); err != nil || !s.SecondFactorRequired {
			return nil, err
		}
		now, err := dbscope.TxRow[struct{ SecondFactor bool }](ctx, tx, `SELECT second_factor FROM auth.users WHERE id = $1`, u.ID)
		if err != nil || now.SecondFactor == u.SecondFactor {
			return nil, err
		}
		cut, err := revocation.CutUserTx(ctx, tx, u.ID, revocation.ReasonFactorChanged)
		return []revocation.Revocation{cut}, err
	})
	if err == nil {
		s.Mailer.Wake()
	}
	return err
}
