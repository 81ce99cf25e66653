package guest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

const (
	// promiseFor is how long a promise waits for the proof of an address. It is longer
	// than a cookie lasts, so that no wallet is promised again.
	promiseFor = 90 * 24 * time.Hour
	// lastFor is how long the credits last that were promised, from when they are given.
	lastFor = 30 * 24 * time.Hour
	// sweepLimit is how many promises are given at once.
	sweepLimit = 100

	appID     = "guest"
	reference = "guest"
)

// PromiseTx promises what is left of a wallet to a new account, in the transaction that
// makes the account, and spends the wallet. Of a wallet that was promised, or has spent
// nothing of late, nothing is left.
func (s *Service) PromiseTx(ctx context.Context, tx pgx.Tx, userID string, w Wallet) error {
	return s.mergeTx(ctx, tx, &userID, "waiting", w)
}

// VoidTx spends a wallet as PromiseTx does, in the transaction of a sign-up that makes no
// account because its address has one.
func (s *Service) VoidTx(ctx context.Context, tx pgx.Tx, w Wallet) error {
	return s.mergeTx(ctx, tx, nil, "void", w)
}

func (s *Service) mergeTx(ctx context.Context, tx pgx.Tx, userID *string, state string, w Wallet) error {
	if w.Device == "" {
		return nil
	}
	keys, err := s.openKeys(ctx)
	if err != nil {
		s.log.Warn("what is left of a guest's credits does not go to their account", "error", err)
		return nil
	}
	type left struct{ Amount creditcore.Amount }
	device := keys.device.Sum(w.Device)
	l, err := dbscope.TxRow[left](ctx, tx, mergeSQL, s.today(), keys.address.Sum(w.Network), device)
	if err != nil || l.Amount == 0 {
		return err
	}
	tag, err := tx.Exec(ctx,
		`INSERT INTO credits.guest_promises (wallet, user_id, state, amount, created_at) VALUES ($1, $2, $3, $4, $5)
		 ON CONFLICT (wallet) DO NOTHING`, device, userID, state, int64(l.Amount), s.now())
	if err == nil && userID != nil && tag.RowsAffected() > 0 {
		s.tell("made")
	}
	return err
}

// Give gives an account what it was promised, and returns the credits: zero where nothing
// waits, the address is not proven yet, or the person was given another promise. It fails
// with [sealed.ErrNone] or an error of the ledger; the promise waits on then.
func (s *Service) Give(ctx context.Context, userID string) (given creditcore.Amount, err error) {
	if s.secret.Sealer == nil {
		return 0, nil // [Service.Run] of an edge gives it
	}
	person, err := s.coupons.People(ctx)
	if err != nil {
		return 0, err
	}
	for range 2 { // who was given one meanwhile is refused the second time
		event := ""
		err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
			given, event, err = s.giveTx(ctx, tx, userID, func() ([]byte, bool, error) { return person(ctx, tx, userID) })
			return err
		})
		if errors.Is(err, errPersonTaken) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if event != "" {
			s.tell(event)
		}
		return given, nil
	}
	return 0, err
}

func (s *Service) giveTx(ctx context.Context, tx pgx.Tx, userID string, person func() ([]byte, bool, error)) (given creditcore.Amount, event string, err error) {
	type promise struct{ Amount creditcore.Amount }
	p, err := dbscope.TxRow[promise](ctx, tx,
		`SELECT o.amount FROM credits.guest_promises AS o WHERE o.user_id = $1 AND o.state = 'waiting' FOR UPDATE`, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	who, verified, err := person()
	if errors.Is(err, creditcore.ErrAccountNotFound) || err == nil && !verified {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	now := s.now()
	type before struct{ Had bool }
	b, err := dbscope.TxRow[before](ctx, tx, `SELECT EXISTS (SELECT FROM credits.guest_promises AS o WHERE o.person = $1) AS had`, who)
	if err != nil {
		return 0, "", err
	}
	if b.Had {
		_, err := tx.Exec(ctx, `UPDATE credits.guest_promises SET state = 'refused', decided_at = $2 WHERE user_id = $1`, userID, now)
		return 0, "refused", err
	}
	end := now.Add(lastFor)
	receipt, err := s.ledger.GrantTx(ctx, tx, creditcore.Grant{
		UserID: userID, Amount: p.Amount, Type: creditcore.Gift, Source: creditcore.SourcePromotion,
		AppID: appID, Description: "Guest credits", InternalKey: "guest:" + userID, Reference: reference, ExpiresAt: &end,
	})
	if err != nil {
		return 0, "", err
	}
	_, err = tx.Exec(ctx,
		`UPDATE credits.guest_promises SET state = 'given', person = $2, transaction_id = $3, decided_at = $4 WHERE user_id = $1`,
		userID, who, receipt.Entry.ID, now)
	if err == nil && s.grantedTx != nil {
		err = s.grantedTx(ctx, tx, userID, p.Amount)
	}
	return p.Amount, "given", err
}

// giveWaiting gives what was promised, and forgets promises to who never proved their
// address.
func (s *Service) giveWaiting(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, system(),
		`DELETE FROM credits.guest_promises WHERE state IN ('waiting', 'void') AND created_at < $1`, s.now().Add(-promiseFor)); err != nil {
		return err
	}
	list, err := dbscope.Texts(ctx, s.db, system(),
		`SELECT o.user_id AS text
		 FROM credits.guest_promises AS o
		 JOIN auth.users AS u ON u.id = o.user_id
		 WHERE o.state = 'waiting' AND u.email_verified AND u.deleted_at IS NULL AND u.disabled_at IS NULL
		 ORDER BY random()
		 LIMIT $1`, sweepLimit)
	if err != nil {
		return err
	}
	var failed []error
	for _, userID := range list {
		_, err := s.Give(ctx, userID)
		if errors.Is(err, creditcore.ErrUnavailable) {
			return err
		}
		if err != nil { // the others have theirs all the same
			failed = append(failed, fmt.Errorf("give %s what its guest had left: %w", userID, err))
		}
	}
	return errors.Join(failed...)
}

// EraseTx forgets a promise that waits for a user who leaves. What they were given, and
// that the person behind their address had it, stays.
func (s *Service) EraseTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM credits.guest_promises WHERE user_id = $1 AND state = 'waiting'`, userID)
	return err
}
