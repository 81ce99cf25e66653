package creditcore

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxSettlementRetries = 10_000
	lastSettlementRetry  = 15 * time.Second
	// settlementRetryLimit is how long a settlement is tried again: while it is,
	// whoever made the ledger keeps it open ([Service.Owes]).
	settlementRetryLimit = 9 * time.Minute
	// settlementTimeout bounds one try.
	settlementTimeout = 4500 * time.Millisecond
)

// RetrySettlement has settle called in the background until it succeeds or
// fails for good, with growing pauses, for nine minutes at most. It is for a
// charge whose response has left while the database was away. name says for
// the log what is settled; of a hold it is the id. What waits lives in the process:
// should that end before, or give it up, the hold expires and the user keeps the credits.
func (s *Service) RetrySettlement(name string, cost Amount, settle func(context.Context) error) {
	log := s.log.With("charge", name, "credits", cost.String())
	if s.settling.Add(1) > maxSettlementRetries {
		s.settling.Add(-1)
		s.reservations.resolved(name)
		s.observeSettlement("given_up")
		log.Error("too many charges wait for the database, one is given up")
		return
	}
	log.Warn("a charge waits for the database")
	go func() {
		defer s.settling.Add(-1)
		if err := retrySettlement(s.cfg.SettlementRetry, settle); err != nil {
			s.reservations.resolved(name)
			s.observeSettlement("given_up")
			log.Error("a charge is given up", "error", err)
			return
		}
		s.observeSettlement("settled")
	}()
}

// retrySettlement gives up only what the ledger has decided to be in vain. Any
// other error may pass: a charge is not given away for one that nobody knew of.
func retrySettlement(first time.Duration, settle func(context.Context) error) error {
	time.Sleep(first)
	_, err := backoff.Retry(context.Background(), func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(context.Background(), settlementTimeout)
		defer cancel()
		err := settle(ctx)
		if err != nil && settlementDecided(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 2 * first, Multiplier: 2, MaxInterval: lastSettlementRetry}),
		backoff.WithMaxElapsedTime(settlementRetryLimit))
	return err
}

// settlementDecided reports whether a settlement fails for good.
func settlementDecided(err error) bool {
	var short *InsufficientError
	return errors.Is(err, ErrHoldNotFound) || errors.Is(err, ErrInvalid) || errors.As(err, &short)
}

func (s *Service) observeSettlement(outcome string) {
	if s.observe.Settlement != nil {
		s.observe.Settlement(outcome)
	}
}
