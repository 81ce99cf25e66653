package coupon

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
	// trialCoupon stands for trials in credits.coupon_domains.
	trialCoupon = "trial"
	// promiseFor is how long a trial waits for the proof of an address.
	promiseFor = 90 * 24 * time.Hour
	// sweepLimit is how many trials are given at once.
	sweepLimit = 100
)

// Why a trial was not given.
const (
	reasonPerson = "person"
	reasonDomain = "domain"
)

// PromiseTx promises a new account the trial of today, in the transaction that
// makes the account. Where there is none, it does nothing.
func (s *Service) PromiseTx(ctx context.Context, tx pgx.Tx, userID string) error {
	t := s.cfg.Trial
	if t == nil {
		return nil
	}
	_, err := tx.Exec(ctx,
		`INSERT INTO credits.trials (user_id, amount, credits_life_seconds, domain_limit, created_at) VALUES ($1, $2, $3, $4, $5)
		 ON CONFLICT DO NOTHING`, userID, int64(t.Credits), nullSeconds(t.Life), nullZero(t.DomainLimit), s.now())
	return err
}

// promise is a trial that waits.
type promise struct {
	Amount             creditcore.Amount
	CreditsLifeSeconds int64
	DomainLimit        int
}

// GiveTrial gives an account the trial that it was promised, and returns the
// credits: zero where none waits, the address is not proven yet, or the person or
// the domain has had what it may have. It fails with [ErrNoSecret] or an error of
// the ledger; the trial waits on then.
func (s *Service) GiveTrial(ctx context.Context, userID string) (given creditcore.Amount, err error) {
	if s.secret.Sealer == nil {
		return 0, nil // [Service.Run] of an edge gives it
	}
	keys, err := s.openKeys(ctx)
	if err != nil {
		return 0, err
	}
	for range 2 { // who was given one meanwhile is refused the second time
		var refused bool
		err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
			given, refused, err = s.giveTrialTx(ctx, tx, keys, userID)
			return err
		})
		switch {
		case errors.Is(err, errPersonTaken):
			continue
		case err != nil:
			return 0, err
		case refused:
			tell(s.observe.Trial, "refused")
		case given > 0:
			tell(s.observe.Trial, "given")
		}
		return given, nil
	}
	return 0, err
}

func (s *Service) giveTrialTx(ctx context.Context, tx pgx.Tx, k *keys, userID string) (given creditcore.Amount, refused bool, err error) {
	t, err := dbscope.TxRow[promise](ctx, tx,
		`SELECT t.amount, coalesce(t.credits_life_seconds, 0) AS credits_life_seconds, coalesce(t.domain_limit, 0) AS domain_limit
		 FROM credits.trials AS t WHERE t.user_id = $1 AND t.state = 'waiting' FOR UPDATE`, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	p, err := s.personTx(ctx, tx, userID)
	if errors.Is(err, creditcore.ErrAccountNotFound) || err == nil && !p.Verified {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	who, now := k.personHash(p.Mailbox), s.now()
	type before struct{ Had bool }
	b, err := dbscope.TxRow[before](ctx, tx, `SELECT EXISTS (SELECT FROM credits.trials AS t WHERE t.person = $1) AS had`, who)
	if err != nil {
		return 0, false, err
	}
	reason := ""
	if b.Had {
		reason = reasonPerson
	} else if room, err := countDomainTx(ctx, tx, k, trialCoupon, p, t.DomainLimit); err != nil {
		return 0, false, err
	} else if !room {
		reason = reasonDomain
	}
	if reason != "" {
		_, err := tx.Exec(ctx, `UPDATE credits.trials SET state = 'refused', reason = $2, decided_at = $3 WHERE user_id = $1`, userID, reason, now)
		return 0, true, err
	}
	grant := creditcore.Grant{
		UserID: userID, Amount: t.Amount, Type: creditcore.Gift, Source: creditcore.SourcePromotion,
		AppID: appID, Description: "Trial", InternalKey: "trial:" + userID, Reference: trialCoupon,
	}
	if life := seconds(t.CreditsLifeSeconds); life > 0 {
		end := now.Add(life)
		grant.ExpiresAt = &end
	}
	receipt, err := s.ledger.GrantTx(ctx, tx, grant)
	if err != nil {
		return 0, false, err
	}
	if _, err := tx.Exec(ctx,
		`UPDATE credits.trials SET state = 'given', person = $2, transaction_id = $3, decided_at = $4 WHERE user_id = $1`,
		userID, who, receipt.Entry.ID, now); err != nil {
		return 0, false, err
	}
	if s.trialTx != nil {
		err = s.trialTx(ctx, tx, userID, t.Amount)
	}
	return t.Amount, false, err
}

// Run seals the secret with today's encryption key, and gives trials whose giving
// was interrupted, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if _, err := s.openKeys(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	tick := time.NewTicker(s.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// sweep gives what was promised, and forgets promises to who never proved their
// address.
func (s *Service) sweep(ctx context.Context) error {
	if _, err := s.db.Exec(ctx, system(), `DELETE FROM credits.trials WHERE state = 'waiting' AND created_at < $1`, s.now().Add(-promiseFor)); err != nil {
		return err
	}
	list, err := dbscope.Texts(ctx, s.db, system(),
		`SELECT t.user_id AS text
		 FROM credits.trials AS t
		 JOIN auth.users AS u ON u.id = t.user_id
		 WHERE t.state = 'waiting' AND u.email_verified AND u.deleted_at IS NULL AND u.disabled_at IS NULL
		 ORDER BY random()
		 LIMIT $1`, sweepLimit)
	if err != nil {
		return err
	}
	var failed []error
	for _, userID := range list {
		_, err := s.GiveTrial(ctx, userID)
		if errors.Is(err, creditcore.ErrUnavailable) {
			return err
		}
		if err != nil { // the others have theirs all the same
			failed = append(failed, fmt.Errorf("give %s its trial: %w", userID, err))
		}
	}
	return errors.Join(failed...)
}

// EraseTx forgets a trial that waits for a user who leaves. What they were given,
// and that the person behind their address had it, stays.
func (s *Service) EraseTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM credits.trials WHERE user_id = $1 AND state = 'waiting'`, userID)
	return err
}
