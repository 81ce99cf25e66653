package creditcore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"mana.how/edge/creditcore"
)

// team says what the account of an organisation must be like.
type team struct {
	balance, held creditcore.Amount
	members       map[string]*teamMember
	holds         []*teamHold
	charges       []*teamCharge
	common        creditcore.Amount // what every plain member may spend, 0 for nothing
}

// teamMember is one, or was.
type teamMember struct {
	role  string            // empty for who has left
	own   creditcore.Amount // what is allotted to them, 0 for nothing
	spent creditcore.Amount
}

type teamHold struct {
	id, by string
	amount creditcore.Amount
}

type teamCharge struct {
	id, by string
	left   creditcore.Amount
}

// refuses says why the ledger must refuse a member so much: as not_member,
// allotment or balance, empty where it must not.
func (m *team) refuses(by string, amount creditcore.Amount) string {
	who := m.members[by]
	bound, bounded := who.own, who.own > 0
	if !bounded && who.role == "member" {
		bound, bounded = m.common, true
	}
	switch {
	case who.role == "":
		return "not_member"
	case m.balance-m.held < amount:
		return "balance"
	case bounded && bound-who.spent < amount:
		return "allotment"
	}
	return ""
}

func refusedAs(err error) string {
	var short *creditcore.InsufficientError
	switch {
	case errors.Is(err, creditcore.ErrNotMember):
		return "not_member"
	case errors.As(err, &short) && short.OfAllotment:
		return "allotment"
	case errors.As(err, &short):
		return "balance"
	case err != nil:
		return err.Error()
	}
	return ""
}

// Accounts of organisations behave as the model says while members spend, leave
// with requests in flight and come back, and what they may spend shrinks. Each of
// eight workers drives an organisation; all of their people spend of their own
// accounts between times.
func TestOrganizationsFollowTheModel(t *testing.T) {
	t.Parallel()
	seed := seeds(t)
	t.Logf("MANA_TEST_SEED=%d", seed)
	steps := 120
	if os.Getenv("MANA_SOAK") != "" {
		steps = 1500
	}
	l := newLedger(t)
	l.user("shared", creditcore.Credits(1_000_000))
	var workers sync.WaitGroup
	for w := range 8 {
		id := fmt.Sprintf("team-%d", w)
		l.organization(id, 0)
		l.user(id+"-guest", 0)
		d := &teamDriver{ledger: l, t: t, rng: rand.New(rand.NewPCG(seed, uint64(w))), id: id, model: team{members: map[string]*teamMember{
			id + "-owner": {role: "owner"}, id + "-admin": {role: "admin"}, id + "-member": {role: "member"}, id + "-guest": {},
		}}}
		workers.Go(func() {
			for step := range steps {
				if t.Failed() {
					return
				}
				d.step(step)
			}
		})
	}
	workers.Wait()
}

// teamDriver takes one organisation and its model through random steps.
type teamDriver struct {
	*ledger
	t     *testing.T
	rng   *rand.Rand
	id    string
	model team
	n     int
}

func (d *teamDriver) name() string {
	d.n++
	return fmt.Sprintf("%s-%d", d.id, d.n)
}

func (d *teamDriver) step(step int) {
	m, account := &d.model, creditcore.OrganizationAccount(d.id)
	who := d.id + "-" + []string{"owner", "admin", "member", "member", "guest"}[d.rng.IntN(5)]
	amount := 1 + creditcore.Amount(d.rng.IntN(6000))
	kind := []string{"grant", "debit", "debit", "debit", "hold", "hold", "settle", "release", "refund", "compensate", "allot", "common", "leave", "join", "served"}[d.rng.IntN(15)]
	var got, want string
	ctx := d.t.Context()
	try := func(change func() error) { got = refusedAs(patiently(change)) }
	switch kind {
	case "grant":
		try(func() error {
			_, err := d.Grant(ctx, creditcore.Grant{UserID: account, Amount: amount * 3, Type: creditcore.Purchase, Source: creditcore.SourcePurchase, InternalKey: d.name(), By: d.id + "-owner"})
			return err
		})
		m.balance += amount * 3
	case "debit", "compensate":
		want = m.refuses(who, amount)
		var r creditcore.Receipt
		key := d.name()
		try(func() (err error) {
			r, err = d.Debit(ctx, creditcore.Debit{UserID: who, Organization: d.id, Amount: amount, AppID: "app", Key: key})
			return err
		})
		if got != "" {
			break
		}
		if kind == "compensate" {
			try(func() error {
				_, err := d.Compensate(ctx, r)
				return err
			})
			break
		}
		m.balance -= amount
		m.members[who].spent += amount
		m.charges = append(m.charges, &teamCharge{r.Entry.ID, who, amount})
	case "hold":
		want = m.refuses(who, amount)
		var h creditcore.Held
		try(func() (err error) {
			h, err = d.Hold(ctx, creditcore.Hold{UserID: who, Organization: d.id, Amount: amount, AppID: "app", TTL: time.Hour})
			return err
		})
		if got == "" {
			m.held += amount
			m.members[who].spent += amount
			m.holds = append(m.holds, &teamHold{h.ID, who, amount})
		}
	case "settle", "release": // also of who has left
		if len(m.holds) == 0 {
			return
		}
		i := d.rng.IntN(len(m.holds))
		h := m.holds[i]
		m.holds = append(m.holds[:i], m.holds[i+1:]...)
		m.held -= h.amount
		m.members[h.by].spent -= h.amount
		if kind == "release" {
			try(func() error {
				_, err := d.Release(ctx, h.id)
				return err
			})
			break
		}
		charged := creditcore.Amount(d.rng.Int64N(int64(h.amount) + 1))
		var r creditcore.Receipt
		try(func() (err error) {
			r, err = d.Settle(ctx, h.id, charged, nil)
			return err
		})
		m.balance -= charged
		m.members[h.by].spent += charged
		if charged > 0 {
			m.charges = append(m.charges, &teamCharge{r.Entry.ID, h.by, charged})
		}
	case "refund":
		if len(m.charges) == 0 {
			return
		}
		c := m.charges[d.rng.IntN(len(m.charges))]
		n := min(amount, c.left)
		if n == 0 {
			return
		}
		key := d.name()
		try(func() error {
			_, err := d.Refund(ctx, creditcore.Refund{UserID: account, Amount: n, EntryID: c.id, AppID: "app", Key: key, SpentBy: c.by})
			return err
		})
		c.left -= n
		m.balance += n
		m.members[c.by].spent -= n
	case "allot", "common":
		if kind == "common" {
			who = ""
			m.common = amount
		} else if m.members[who].role == "" {
			return
		} else {
			m.members[who].own = amount // often less than what was spent
		}
		try(func() error {
			_, err := d.Allot(ctx, of(d.id, d.id+"-owner"), creditcore.Allotment{UserID: who, Credits: amount, Period: creditcore.InTotal})
			return err
		})
	case "leave":
		if who == d.id+"-owner" || m.members[who].role == "" {
			return
		}
		d.expel(d.id, who)
		m.members[who].role, m.members[who].own = "", 0
	case "join":
		if m.members[who].role != "" {
			return
		}
		m.members[who].role = []string{"admin", "member"}[d.rng.IntN(2)]
		d.join(d.id, who, m.members[who].role)
	case "served": // what was answered already asks nobody
		n := min(amount, m.balance-m.held)
		if n <= 0 {
			return
		}
		reference := d.name()
		try(func() error {
			_, err := d.DebitServed(ctx, creditcore.Debit{UserID: who, Organization: d.id, Amount: n, AppID: "app"}, reference)
			return err
		})
		m.balance -= n
		m.members[who].spent += n
	}
	if got != want {
		d.t.Errorf("step %d, %s by %s of %s: refused as %q, want %q; %+v of %+v", step, kind, who, amount, got, want, m.members[who], m)
		return
	}
	d.compare(step, kind)
	if _, err := d.ledger.debit(creditcore.Debit{UserID: "shared", Amount: 1}); err != nil && !errors.Is(err, creditcore.ErrUnavailable) {
		d.t.Errorf("on the side: %v", err)
	}
}

func (d *teamDriver) compare(step int, kind string) {
	m := &d.model
	var b creditcore.Balance
	err := patiently(func() (err error) {
		b, err = d.BalanceOf(d.t.Context(), creditcore.OrganizationAccount(d.id))
		return err
	})
	if err != nil || b.Available != m.balance-m.held || b.Held != m.held {
		d.t.Errorf("step %d, %s: %+v, %v; the model has %s, %s of it held", step, kind, b, err, m.balance, m.held)
	}
	shares, err := d.Shares(d.t.Context(), of(d.id, d.id+"-owner"))
	if err != nil {
		d.t.Error(err)
	}
	for _, s := range shares {
		// Of the month, where nothing is allotted; all of this is of one.
		if want := m.members[s.UserID]; s.Role != want.role || s.Spent != want.spent {
			d.t.Errorf("step %d, %s: share %+v, the model has %+v", step, kind, s, *want)
		}
	}
}
