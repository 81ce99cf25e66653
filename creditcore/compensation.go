package creditcore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	maxCompensations = 100_000
	firstRetry       = time.Second
	lastRetry        = 30 * time.Second
	// doubtLooks is how often a charge that may not exist is looked for: once
	// the database answers, and once more when it has done what it had received.
	doubtLooks = 2
)

// debt is a refund that is owed. looks is 0 for a charge that is known, else
// how often it is still to be looked for.
type debt struct {
	Entry
	looks int
	due   time.Time // not to be tried before
	tries int       // that failed for a reason of its own
}

// compensations are the refunds that are owed, because they failed: mostly the
// database was away.
type compensations struct {
	added chan struct{}

	mu    sync.Mutex
	owed  []debt // in no order
	taken int    // out of owed, being tried
	tries int    // in vain, since the last success
	pause time.Time
}

func newCompensations() compensations { return compensations{added: make(chan struct{}, 1)} }

// Compensate refunds a debit in full, once, however often it is called. Where
// that fails and the ledger has not decided that there is nothing to refund,
// the refund is kept and tried again by [Service.Run]; the error is for
// information then.
func (s *Service) Compensate(ctx context.Context, r Receipt) (Balance, error) {
	balance, err := s.compensate(ctx, r.Entry)
	if err == nil {
		s.flights.landed(r.Entry.ID, false)
		s.observeCompensation("refunded")
		return balance, nil
	}
	if decided(err) {
		s.dropCompensation(r.Entry, err)
		return Balance{}, err
	}
	s.owe(debt{Entry: r.Entry, due: time.Now().Add(firstRetry)})
	return Balance{}, err
}

// decided reports whether a refund fails for good. Any other error may pass.
func decided(err error) bool {
	return errors.Is(err, ErrEntryNotFound) || errors.Is(err, ErrRefundExceeds) || errors.Is(err, ErrAccountNotFound) || errors.Is(err, ErrInvalid)
}

// Owes reports whether refunds, settlements or what was charged to leases wait for the
// database.
func (s *Service) Owes() bool {
	s.compensations.mu.Lock()
	defer s.compensations.mu.Unlock()
	return len(s.compensations.owed)+s.compensations.taken > 0 || s.settling.Load() > 0 || s.leases.owes()
}

// compensate gives a charge back: with others, as long as lots were not
// charged with it, else by a refund that restores them.
func (s *Service) compensate(ctx context.Context, e Entry) (Balance, error) {
	o, err := s.do(ctx, &item{Kind: compensating, UserID: e.UserID, Target: e.ID})
	if err == nil && o.Outcome == "refunded" {
		return o.of(e.UserID), nil
	}
	if err != nil {
		return Balance{}, err
	}
	r, err := s.Refund(ctx, Refund{
		UserID: e.UserID, Amount: -e.Amount, EntryID: e.ID, AppID: e.AppID,
		Description: "Refund: " + e.Description, InternalKey: compensationKey(e.ID),
	})
	return r.Balance, err
}

// compensationKey is the internal key of the refund of a charge, which makes
// it one.
func compensationKey(entryID string) string { return "compensation:" + entryID }

// doubt has a debit refunded that may have been made although its answer was
// lost: who asked for it was told that it was not. Under a key he can ask again,
// and is told then.
func (s *Service) doubt(it *item) {
	if it.Key != "" {
		return
	}
	s.owe(debt{
		Entry: Entry{ID: it.ID, UserID: it.UserID, Amount: -it.Amount, AppID: it.AppID, Description: it.Description},
		looks: doubtLooks, due: time.Now().Add(s.cfg.DoubtWait),
	})
}

var errTooManyDebts = errors.New("too many refunds wait")

func (s *Service) owe(d debt) {
	if !s.compensations.add(d) {
		s.dropCompensation(d.Entry, errTooManyDebts)
	}
}

func (c *compensations) add(d debt) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.owed) >= maxCompensations {
		return false
	}
	c.owed = append(c.owed, d)
	select {
	case c.added <- struct{}{}:
	default:
	}
	return true
}

// take removes a debt that is due, or any.
func (c *compensations) take(now time.Time, anyOne bool) (debt, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, d := range slices.Backward(c.owed) {
		if anyOne || !d.due.After(now) {
			last := len(c.owed) - 1
			c.owed[i] = c.owed[last]
			c.owed = c.owed[:last]
			c.taken++
			return d, true
		}
	}
	return debt{}, false
}

// failed puts a debt back until the database may have returned, and counts what
// waits.
func (c *compensations) failed(d debt) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken--
	c.owed = append(c.owed, d)
	c.pause = time.Now().Add(min(lastRetry, firstRetry<<min(c.tries, 5)))
	c.tries++
	return len(c.owed)
}

// later puts a debt back that failed for a reason of its own. The others go on.
func (c *compensations) later(d debt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken--
	d.due = time.Now().Add(min(lastRetry, firstRetry<<min(d.tries, 5)))
	d.tries++
	c.owed = append(c.owed, d)
}

// settled notes that the database has answered.
func (c *compensations) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken--
	c.tries, c.pause = 0, time.Time{}
}

// wait is the time to the next try.
func (c *compensations) wait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.owed) == 0 {
		return time.Hour
	}
	next := slices.MinFunc(c.owed, func(a, b debt) int { return a.due.Compare(b.due) }).due
	if next.Before(c.pause) {
		next = c.pause
	}
	return cmp.Or(max(0, time.Until(next)), time.Millisecond)
}

// compensateAll tries what is due; with last, all there is, for the last time.
func (s *Service) compensateAll(ctx context.Context, last bool) {
	var undecided []debt
	defer func() {
		for _, d := range undecided {
			s.compensations.later(d)
		}
	}()
	for {
		d, ok := s.compensations.take(time.Now(), last)
		if !ok {
			return
		}
		err := s.redeem(ctx, d)
		if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			s.observeCompensation("retried")
			s.log.Warn("refunds wait for the database", "refunds", s.compensations.failed(d), "error", err)
			return
		}
		if err != nil && !decided(err) {
			s.observeCompensation("retried")
			s.log.Error("a refund failed and is tried again", "transaction", d.ID, "user", d.UserID, "error", err)
			undecided = append(undecided, d)
			continue
		}
		switch {
		case err == nil:
			s.flights.landed(d.ID, false)
			s.observeCompensation("refunded")
		case d.looks == 0 || !errors.Is(err, ErrEntryNotFound):
			s.dropCompensation(d.Entry, err)
		case d.looks > 1 && !last:
			d.looks--
			d.due = time.Now().Add(s.cfg.DoubtWait)
			s.owe(d)
		default:
			s.flights.landed(d.ID, false) // it was never made
		}
		s.compensations.settled()
	}
}

// redeem pays a debt. It fails with [ErrEntryNotFound] where there was none.
func (s *Service) redeem(ctx context.Context, d debt) error {
	if d.looks > 0 {
		if _, err := s.entry(ctx, d.UserID, d.ID); err != nil {
			return err
		}
		s.log.Warn("a charge whose answer was lost is refunded", "transaction", d.ID, "user", d.UserID)
	}
	_, err := s.compensate(ctx, d.Entry)
	return err
}

func (s *Service) dropCompensation(e Entry, err error) {
	s.log.Error("a charge could not be refunded", "transaction", e.ID, "user", e.UserID, "error", err)
	s.observeCompensation("dropped")
}

func (s *Service) observeCompensation(outcome string) {
	if s.observe.Compensation != nil {
		s.observe.Compensation(outcome)
	}
}
