package creditcore

import (
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// leastPrices is how many prices a lease has at least.
	leastPrices = 8
	// leaseMargin is how long before the ledger would give a lease back this
	// process stops to spend it.
	leaseMargin = 3 * time.Second
	// leasePause is how long an account has no lease that was recalled, or had
	// too little for one.
	leasePause = time.Second
	// leaseOverdue is how long a charge may wait to be written before its
	// account is charged at once again.
	leaseOverdue = time.Second
	// maxLeases bounds the accounts that are looked at.
	maxLeases = 10_000
)

// leases are what this process has reserved of accounts that are busy, to charge
// them in memory. Each is a hold of the ledger, so that what is available there is
// less by it: nobody else spends it.
//
// A charge is taken from the lease before what it is for, and written by the next
// flush once the response has begun. One that comes to nothing goes back to the
// lease and leaves no trace. A process that is gone loses the charges since its
// last flush; what is left of its leases is given back as that of any hold.
type leases struct {
	mu       sync.Mutex
	running  bool // [Service.Run] flushes
	accounts map[string]*lease
	recalls  singleflight.Group // by account
}

// lease is what this process has of one account. The lock of leases guards it.
type lease struct {
	account   string
	id        string    // of the hold, empty while there is none
	reserved  Amount    // by the hold, as far as the ledger has said
	spare     Amount    // of it: neither in flight nor pending
	inFlight  Amount    // of requests without an answer
	pending   []*Leased // answered, to be written
	owed      Amount    // what is pending
	available Amount    // beyond the lease, by the ledger's last word

	until     time.Time // the spare may be spent
	confirmed time.Time // by the ledger
	used      time.Time // last
	paused    time.Time // until when there is to be no lease
	full      time.Time // until when the ledger is not asked for more
	requests  int       // while the account is looked at
	demand    Amount    // since the last flush
	peak      Amount    // of the demand, falling slowly
	price     Amount    // the highest

	flushing bool
	closing  bool // recalled: all that is spare goes back
	again    bool // what is pending may have been written
	locked   bool // by somebody else, at the last flush
}

// Leased is a charge that is taken from a lease. [Leased.Begun] or
// [Leased.Cancel] is to be called, once.
type Leased struct {
	s     *Service
	lease *lease
	id    string // of the ledger row to be
	debit Debit
	since time.Time // it is pending
	// Remaining is what the account has available then, by what this process
	// knows: others may have charged it since the last flush.
	Remaining Amount
}

// EntryID names the row of the ledger that the charge becomes when it is written.
func (c *Leased) EntryID() string { return c.id }

// DebitLeased charges the account of a user in memory, where this process has a lease
// of it that suffices. Where it reports false nothing was charged, and
// [Service.Debit] is to be asked. That is so for the first charges of a user who was
// idle, for all that a key or an organisation is behind, for whatever is not valid,
// and for whoever is short of credits.
func (s *Service) DebitLeased(d Debit) (*Leased, bool) {
	if d.Key != "" || d.APIKey != "" || d.Organization != "" {
		return nil, false
	}
	if _, err := d.prepare(); err != nil || d.Type != Usage {
		return nil, false
	}
	now := time.Now()
	l := &s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.accounts[d.UserID]
	if t == nil {
		if !l.running || len(l.accounts) >= maxLeases {
			return nil, false
		}
		t = &lease{account: d.UserID}
		l.accounts[d.UserID] = t
	}
	t.requests++
	t.used, t.demand, t.price = now, t.demand+d.Amount, max(t.price, d.Amount)
	if !l.running || t.spare < d.Amount || !t.spendable(now) {
		return nil, false
	}
	t.spare -= d.Amount
	t.inFlight += d.Amount
	if s.observe.Debit != nil {
		s.observe.Debit("charged", time.Since(now))
	}
	return &Leased{s: s, lease: t, id: newID(), debit: d, Remaining: t.available + t.spare}, true
}

// spendable reports whether the lease is as the ledger has it.
func (t *lease) spendable(now time.Time) bool {
	return now.Before(t.until) && !t.closing && (len(t.pending) == 0 || now.Sub(t.pending[0].since) < leaseOverdue)
}

// wants is how much is to be spare.
func (t *lease) wants(now time.Time, idle time.Duration) Amount {
	if t.closing || now.Before(t.paused) || now.Sub(t.used) >= idle || t.requests < 2 || !t.until.IsZero() && !now.Before(t.until) {
		return 0
	}
	return min(max(leastPrices*t.price, 4*t.peak), MaxAmount)
}

// free is what the lease has reserved beyond what is taken.
func (t *lease) free() Amount { return max(0, t.reserved-t.inFlight-t.owed) }

// Begun says that the response has begun: the charge stands, and is written by the
// next flush.
func (c *Leased) Begun() {
	l := &c.s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	t := c.lease
	t.inFlight -= c.debit.Amount
	c.since = time.Now()
	t.pending = append(t.pending, c)
	t.owed += c.debit.Amount
	if !l.running {
		c.s.flushLater(t.account, c.debit.Amount)
	}
}

// Cancel takes the charge back, as if it had never been, and returns what the account
// has available then.
func (c *Leased) Cancel() Amount {
	l := &c.s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	t := c.lease
	t.inFlight -= c.debit.Amount
	t.spare = min(t.spare+c.debit.Amount, t.free())
	c.s.observeCompensation("refunded")
	if !l.running {
		c.s.flushLater(t.account, c.debit.Amount)
	}
	return t.available + t.spare
}
