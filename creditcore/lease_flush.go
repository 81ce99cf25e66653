package creditcore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

const (
	// maxFlushAccounts and maxFlushCharges bound the accounts of one flush, and the
	// charges it has when another account joins.
	maxFlushAccounts = 128
	maxFlushCharges  = 512
	// maxStuck bounds the accounts whose lock is waited for.
	maxStuck = 2
	// leaseFull is how long the ledger is not asked for more than it gave.
	leaseFull = 250 * time.Millisecond
	// flushPause is how long nothing is flushed when a flush has failed.
	flushPause = 500 * time.Millisecond
	// lastFlush bounds the flushes when the process ends.
	lastFlush = 4 * time.Second
)

// flush is one statement: leases in the order of their accounts, and for each what
// was charged to it, what is to stay reserved and what is wanted beside that.
type flush struct {
	leases              []*lease
	keeps, wants, least []Amount
	charges             [][]*Leased
	n                   int // charges
	again               bool
	sent                time.Time
}

// add takes what is pending of a lease. The lock of leases is held.
func (f *flush) add(t *lease, want Amount) {
	if t.id == "" {
		t.id = newID()
	}
	f.leases = append(f.leases, t)
	f.charges = append(f.charges, t.pending)
	f.keeps, f.wants, f.least = append(f.keeps, t.inFlight), append(f.wants, want), append(f.least, t.price)
	f.n += len(t.pending)
	f.again = f.again || t.again
	t.pending, t.owed, t.flushing = nil, 0, true
	t.spare = min(t.spare, want)
}

// leaseOutcome is what credits.lease says of a lease.
type leaseOutcome struct {
	Item      int
	Outcome   string
	Reserved  Amount
	Available Amount
	Lost      Amount
	FreshFor  *float64 // seconds
}

// keepLeases flushes until ctx ends, then gives all leases back.
func (s *Service) keepLeases(ctx context.Context) {
	l := &s.leases
	l.mu.Lock()
	l.running = true
	l.mu.Unlock()
	tick := time.NewTicker(s.cfg.FlushEvery)
	defer tick.Stop()
	stuck := make(chan struct{}, maxStuck)
	var pause time.Time
	for {
		select {
		case <-ctx.Done():
			s.returnLeases()
			return
		case now := <-tick.C:
			if now.Before(pause) {
				continue
			}
			if s.flushAll(ctx, stuck) != nil {
				pause = time.Now().Add(flushPause)
			}
		}
	}
}

// flushAll brings up to date what is due, then looks for what is recalled, which is
// due the next time.
func (s *Service) flushAll(ctx context.Context, stuck chan struct{}) error {
	flushes, locked := s.leases.due(time.Now(), s.cfg, stuck)
	for _, f := range locked {
		go func() {
			defer func() { <-stuck }()
			_ = s.flush(f, true)
		}()
	}
	var failed error
	for _, f := range flushes {
		if err := s.flush(f, false); err != nil {
			failed = err
		}
	}
	if failed != nil {
		return failed
	}
	err := s.heedRecalls(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("look for leases that are recalled", "error", err)
	}
	return err
}

// due are the flushes that are to be made now: with others, and those of accounts
// that were locked, each with a place in stuck.
func (l *leases) due(now time.Time, cfg Config, stuck chan struct{}) (together, locked []*flush) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f *flush
	for _, t := range l.sorted() {
		want, needed := t.review(now, cfg)
		switch {
		case !needed:
			l.forget(t, now, cfg.LeaseIdle)
			continue
		case t.locked:
			select {
			case stuck <- struct{}{}:
				alone := new(flush)
				alone.add(t, want)
				locked = append(locked, alone)
			default:
			}
			continue
		case f == nil || len(f.leases) == maxFlushAccounts || f.n >= maxFlushCharges:
			f = new(flush)
			together = append(together, f)
		}
		f.add(t, want)
	}
	return together, locked
}

// sorted are the leases in the order of their accounts.
func (l *leases) sorted() []*lease {
	all := make([]*lease, 0, len(l.accounts))
	for _, t := range l.accounts {
		if !t.flushing {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *lease) int { return cmp.Compare(a.account, b.account) })
	return all
}

// review is what is wanted of the account, and whether the ledger is to be told now.
func (t *lease) review(now time.Time, cfg Config) (want Amount, needed bool) {
	t.peak = max(t.demand, t.peak*7/8)
	t.demand = 0
	want = t.wants(now, cfg.LeaseIdle)
	switch {
	case len(t.pending) > 0:
	case t.id != "" && now.Sub(t.confirmed) > cfg.LeaseTTL/3:
	case want == 0:
		return 0, t.id != "" && (t.spare > 0 || t.inFlight == 0 || t.closing)
	case t.spare >= want/2 || now.Before(t.full):
		return want, false
	}
	return want, true
}

// forget drops an account that nobody uses.
func (l *leases) forget(t *lease, now time.Time, idle time.Duration) {
	if t.id == "" && t.inFlight == 0 && len(t.pending) == 0 && now.Sub(t.used) >= idle {
		delete(l.accounts, t.account)
	}
}

// flush writes one. Where that fails what is pending waits for the next.
func (s *Service) flush(f *flush, wait bool) error {
	f.sent = time.Now()
	outcomes, err := s.lease(f, wait)
	l := &s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range outcomes {
		s.told(f, o)
	}
	for i, t := range f.leases {
		if t.flushing {
			f.putBack(i)
			t.again = t.again || err != nil
		}
	}
	if err != nil {
		s.log.Warn("write what was charged to leases", "accounts", len(f.leases), "charges", f.n, "error", err)
	}
	return err
}

// putBack has what was not written wait again.
func (f *flush) putBack(i int) {
	t := f.leases[i]
	t.flushing = false
	t.pending = append(f.charges[i], t.pending...)
	for _, c := range f.charges[i] {
		t.owed += c.debit.Amount
	}
}

// told takes down what the ledger said of a lease.
func (s *Service) told(f *flush, o leaseOutcome) {
	i := o.Item - 1
	t := f.leases[i]
	if o.Outcome == "locked" {
		f.putBack(i)
		t.locked = true
		return
	}
	t.flushing, t.locked, t.again = false, false, false
	t.reserved, t.available, t.confirmed = o.Reserved, o.Available, f.sent
	t.until = f.sent.Add(s.cfg.LeaseTTL - leaseMargin)
	if o.FreshFor != nil {
		if fresh := f.sent.Add(time.Duration(*o.FreshFor * float64(time.Second))); fresh.Before(t.until) {
			t.until = fresh
		}
	}
	t.spare = t.free()
	switch {
	case f.wants[i] == 0:
		t.closing = false
	case t.spare < t.price:
		t.paused = f.sent.Add(leasePause)
	case t.spare < f.wants[i]:
		t.full = f.sent.Add(leaseFull)
	}
	if t.reserved == 0 {
		t.id, t.until = "", time.Time{}
	}
	if o.Lost > 0 {
		s.log.Error("charges of a lease whose time was over are lost: the account did not have them", "user", t.account, "credits", o.Lost.String())
	}
}

var leaseSQL = `SELECT * FROM ` + functions.Schema + `.lease($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`

// lease runs the statement.
func (s *Service) lease(f *flush, wait bool) ([]leaseOutcome, error) {
	n := len(f.leases)
	users, holds, keeps, wants, least := make([]string, n), make([]string, n), make([]int64, n), make([]int64, n), make([]int64, n)
	of, ids, amounts := make([]int, 0, f.n), make([]string, 0, f.n), make([]int64, 0, f.n)
	apps, operations, descriptions, metadata := make([]string, 0, f.n), make([]string, 0, f.n), make([]string, 0, f.n), make([]*string, 0, f.n)
	s.leases.mu.Lock()
	for i, t := range f.leases {
		users[i], holds[i], keeps[i], wants[i], least[i] = t.account, t.id, int64(f.keeps[i]), int64(f.wants[i]), int64(f.least[i])
		for _, c := range f.charges[i] {
			of, ids, amounts = append(of, i+1), append(ids, c.id), append(amounts, int64(c.debit.Amount))
			apps, operations, descriptions = append(apps, c.debit.AppID), append(operations, c.debit.Operation), append(descriptions, c.debit.Description)
			metadata = append(metadata, dbscope.NullText(string(c.debit.Metadata)))
		}
	}
	s.leases.mu.Unlock()
	return dbscope.List[leaseOutcome](context.Background(), s.db, dbscope.System(), leaseSQL,
		wait, f.again, s.cfg.LeaseTTL, users, holds, keeps, wants, least, of, ids, amounts, apps, operations, descriptions, metadata)
}

// flushAccount brings one account up to date, waiting for who has it locked and for a
// flush that is on its way.
func (s *Service) flushAccount(ctx context.Context, account string) error {
	l := &s.leases
	for {
		l.mu.Lock()
		t := l.accounts[account]
		if t == nil {
			l.mu.Unlock()
			return nil
		}
		if !t.flushing {
			f := new(flush)
			t.closing = t.closing || !l.running
			if want, needed := t.review(time.Now(), s.cfg); needed {
				f.add(t, want)
			}
			l.mu.Unlock()
			if len(f.leases) == 0 {
				return nil
			}
			return s.flush(f, true)
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

// flushLater writes what became of a charge when this process does not flush any more.
func (s *Service) flushLater(account string, amount Amount) {
	s.settling.Add(1)
	go func() {
		defer s.settling.Add(-1)
		flush := func(ctx context.Context) error { return s.flushAccount(ctx, account) }
		ctx, cancel := context.WithTimeout(context.Background(), settlementTimeout)
		defer cancel()
		if flush(ctx) != nil {
			s.RetrySettlement("lease of "+account, amount, flush)
		}
	}()
}

// returnLeases writes what is pending and gives back what is spare, when this process
// ends. What is in flight stays reserved, and is written when it is answered.
func (s *Service) returnLeases() {
	l := &s.leases
	l.mu.Lock()
	l.running = false
	l.mu.Unlock()
	for end := time.Now().Add(lastFlush); ; time.Sleep(50 * time.Millisecond) {
		stuck := make(chan struct{}, maxLeases)
		l.mu.Lock()
		for _, t := range l.accounts {
			t.closing = true
		}
		l.mu.Unlock()
		together, locked := l.due(time.Now(), s.cfg, stuck)
		for _, f := range append(together, locked...) {
			_ = s.flush(f, true)
		}
		accounts, charges := l.left()
		if accounts == 0 {
			return
		}
		if time.Now().After(end) {
			s.log.Error("leases could not be given back: they expire by themselves, and what was charged to them last is lost",
				"accounts", accounts, "charges", charges)
			return
		}
	}
}

// left counts what is to be written.
func (l *leases) left() (accounts, charges int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.accounts {
		if t.flushing || t.free() > 0 || len(t.pending) > 0 {
			accounts++
			charges += len(t.pending)
		}
	}
	return accounts, charges
}

// owes reports whether something that was charged is not written.
func (l *leases) owes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.accounts {
		if t.flushing || t.inFlight > 0 || len(t.pending) > 0 {
			return true
		}
	}
	return false
}
