package creditcore

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	maxCompensations = 100_000
	firstRetry       = time.Second
	lastRetry        = 30 * time.Second
)

// compensations are refunds that are still owed, because the database was away.
type compensations struct {
	added chan struct{}

	mu    sync.Mutex
	owed  []Entry
	tries int
}

func newCompensations() compensations { return compensations{added: make(chan struct{}, 1)} }

// Compensate refunds a debit in full, once, however often it is called. Where
// the database is away the refund is kept and tried again by [Service.Run];
// the error is [ErrUnavailable] then, for information.
func (s *Service) Compensate(ctx context.Context, r Receipt) (Balance, error) {
	back, err := s.compensate(ctx, r.Entry)
	if err == nil {
		s.observeCompensation("refunded")
		return back.Balance, nil
	}
	if !errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		s.log.Error("a charge could not be refunded", "transaction", r.Entry.ID, "user", r.Entry.UserID, "error", err)
		s.observeCompensation("dropped")
		return Balance{}, err
	}
	if !s.compensations.add(r.Entry) {
		s.log.Error("too many refunds wait, one is given up", "transaction", r.Entry.ID, "user", r.Entry.UserID)
		s.observeCompensation("dropped")
	}
	return Balance{}, err
}

func (s *Service) compensate(ctx context.Context, e Entry) (Receipt, error) {
	return s.Refund(ctx, Refund{
		UserID: e.UserID, Amount: -e.Amount, EntryID: e.ID, AppID: e.AppID,
		Description: "Refund: " + e.Description, InternalKey: "compensation:" + e.ID,
	})
}

func (c *compensations) add(e Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.owed) == maxCompensations {
		return false
	}
	c.owed = append(c.owed, e)
	select {
	case c.added <- struct{}{}:
	default:
	}
	return true
}

// wait is the time to the next try.
func (c *compensations) wait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(lastRetry, firstRetry<<min(c.tries, 5))
}

// compensateAll tries what is owed and returns how much remains.
func (s *Service) compensateAll(ctx context.Context) int {
	c := &s.compensations
	for {
		c.mu.Lock()
		if len(c.owed) == 0 {
			c.tries = 0
			c.mu.Unlock()
			return 0
		}
		e := c.owed[0]
		c.mu.Unlock()

		_, err := s.compensate(ctx, e)
		if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			s.observeCompensation("retried")
			c.mu.Lock()
			c.tries++
			n := len(c.owed)
			c.mu.Unlock()
			s.log.Warn("refunds wait for the database", "refunds", n, "error", err)
			return n
		}
		outcome := "refunded"
		if err != nil {
			outcome = "dropped"
			s.log.Error("a charge could not be refunded", "transaction", e.ID, "user", e.UserID, "error", err)
		}
		s.observeCompensation(outcome)
		c.mu.Lock()
		c.owed = c.owed[1:]
		c.mu.Unlock()
	}
}

func (s *Service) observeCompensation(outcome string) {
	if s.observe.Compensation != nil {
		s.observe.Compensation(outcome)
	}
}
