package topup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

const (
	// batch bounds the top-ups of one look.
	batch = 50
	// processingPause is when a payment that a bank works on is looked at again.
	processingPause = time.Hour
	// firstFault and longestFault are the pauses while Stripe cannot be asked.
	firstFault   = 30 * time.Second
	longestFault = time.Hour
)

// declinedPauses are how long a declined card is left alone, after each failure but
// the last.
var declinedPauses = [MostFailures - 1]time.Duration{6 * time.Hour, 24 * time.Hour}

// TopUpDue goes on with each top-up whose time has come. Any number of edges may run
// it: each top-up is one's.
func (s *Service) TopUpDue(ctx context.Context) error {
	if s.stripe == nil {
		return nil
	}
	type next struct{ ID, AccountID string }
	list, err := dbscope.List[next](ctx, s.db, dbscope.System(), `
		SELECT t.id, t.account_id
		FROM credits.top_ups AS t
		WHERE t.state IN ('open', 'confirm')
			AND t.due_at <= clock_timestamp()
		ORDER BY t.due_at
		LIMIT $1`, batch)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range list {
		if err := s.goOn(ctx, t.ID, t.AccountID); err != nil {
			failed = append(failed, fmt.Errorf("top up %s: %w", t.AccountID, err))
		}
	}
	return errors.Join(failed...)
}

// goOn does what is to be done about one top-up.
func (s *Service) goOn(ctx context.Context, id, account string) error {
	d, err := s.order(ctx, id, account)
	if err != nil {
		return err
	}
	switch d.step {
	case charge:
		return s.charge(ctx, &d)
	case end:
		return s.end(ctx, &d)
	}
	return nil
}

// charge takes the money, and notes what became of it.
func (s *Service) charge(ctx context.Context, d *due) error {
	now, err := s.purchases.ChargeSaved(ctx, d.ID, d.PaymentMethodID, fmt.Sprintf("%d:%s", d.Tries, d.PaymentMethodID))
	switch {
	case err == nil && now.Progress == stripeapi.Paid:
		return nil // it ended with its purchase
	case err == nil:
		return s.note(ctx, d, func(ctx context.Context, tx pgx.Tx) error {
			return postponeTx(ctx, tx, d, "processing", processingPause)
		})
	case errors.Is(err, purchase.ErrAuthenticationRequired):
		return s.note(ctx, d, func(ctx context.Context, tx pgx.Tx) error { return askTx(ctx, tx, d) })
	case errors.Is(err, purchase.ErrCardGone):
		d.reason = "card"
		return s.end(ctx, d)
	case errors.Is(err, purchase.ErrDeclined):
		return s.declined(ctx, d)
	}
	return errors.Join(err, s.fault(ctx, d))
}

// note writes what became of a payment, unless its top-up is over by now: Stripe may
// have told of it by an event.
func (s *Service) note(ctx context.Context, d *due, write func(context.Context, pgx.Tx) error) error {
	return s.db.InTx(context.WithoutCancel(ctx), dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if err := s.ledger.LockTx(ctx, tx, d.AccountID); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `
			UPDATE credits.top_ups
			SET faults = 0
			WHERE id = $1
				AND account_id = $2
				AND state = $3`, d.ID, d.AccountID, d.State)
		if err != nil || n.RowsAffected() == 0 {
			return err
		}
		return write(ctx, tx)
	})
}

// askTx has the owner confirm the payment with their bank.
func askTx(ctx context.Context, tx pgx.Tx, d *due) error {
	_, err := tx.Exec(ctx, `
		UPDATE credits.top_ups
		SET state = 'confirm', reason = NULL, due_at = clock_timestamp() + $3::interval
		WHERE id = $1
			AND account_id = $2`, d.ID, d.AccountID, ConfirmWithin)
	return err
}

// declined tries again later, or has had enough.
func (s *Service) declined(ctx context.Context, d *due) error {
	if d.Failures+1 >= MostFailures {
		d.reason = "declined"
		return s.end(ctx, d)
	}
	return s.note(ctx, d, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE credits.top_up_settings
			SET failures = failures + 1
			WHERE account_id = $1`, d.AccountID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE credits.top_ups
			SET tries = tries + 1, reason = 'declined', due_at = clock_timestamp() + $3::interval
			WHERE id = $1
				AND account_id = $2`, d.ID, d.AccountID, declinedPauses[d.Failures])
		return err
	})
}

// fault tries again while Stripe cannot be asked: soon at first, then each hour.
func (s *Service) fault(ctx context.Context, d *due) error {
	pause := min(firstFault<<min(d.Faults, 16), longestFault)
	_, err := s.db.Exec(context.WithoutCancel(ctx), dbscope.System(), `
		UPDATE credits.top_ups
		SET faults = faults + 1, reason = 'stripe', due_at = clock_timestamp() + $3::interval
		WHERE id = $1
			AND account_id = $2
			AND state = $4`, d.ID, d.AccountID, pause, d.State)
	return err
}

// end cancels the payment, so that no money comes for what is over, and ends the
// top-up. One that was paid after all stays bought. Where it ends though the account
// is low and its owner wanted it, it is switched off.
func (s *Service) end(ctx context.Context, d *due) error {
	if d.Ordered || d.step == charge {
		now, err := s.purchases.CancelSaved(ctx, d.ID)
		switch {
		case err != nil:
			return errors.Join(err, s.fault(ctx, d))
		case now.Progress == stripeapi.Paid:
			return nil
		case now.Progress == stripeapi.Processing: // a bank works on it: what comes of it counts
			return s.note(ctx, d, func(ctx context.Context, tx pgx.Tx) error {
				return postponeTx(ctx, tx, d, "processing", processingPause)
			})
		}
	}
	return s.note(ctx, d, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE credits.top_ups
			SET state = 'ended', reason = $3, ended_at = clock_timestamp()
			WHERE id = $1
				AND account_id = $2`, d.ID, d.AccountID, d.reason); err != nil {
			return err
		}
		if d.anew {
			_, err := tx.Exec(ctx, `SELECT `+functions.Schema+`.note_low($1, $2)`, d.AccountID, int64(d.Threshold))
			return err
		}
		if d.reason == "off" || d.reason == "unneeded" {
			return nil
		}
		if err := switchOffTx(ctx, tx, d.AccountID, d.reason); err != nil {
			return err
		}
		if d.reason == "card" {
			return dropCardTx(ctx, tx, d.AccountID, d.PaymentMethodID)
		}
		return nil
	})
}
