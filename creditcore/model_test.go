package creditcore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// modelLot and model say what an account must be like, burning lots eagerly.
type modelLot struct {
	source    creditcore.Source
	name      string
	priority  int
	expires   time.Duration // on the model's clock; 0: never
	promo     bool
	prolonged bool // it has what came back late, for 72 hours by the database's clock
	rollsOver creditcore.Amount
	rollsTo   time.Duration // on the model's clock; 0: it does not
	rolled    bool
	sequence  int
	granted   creditcore.Amount
	remaining creditcore.Amount
	burnt     creditcore.Amount
	expired   creditcore.Amount
	clawed    creditcore.Amount
}

// modelPart is what a lot paid of a charge.
type modelPart struct {
	lot *modelLot
	n   creditcore.Amount
}

type modelCharge struct {
	id    string
	left  creditcore.Amount
	parts []modelPart // in the order of burning
}

type model struct {
	clock         time.Duration
	lots          []*modelLot
	held          creditcore.Amount
	holds         map[string]creditcore.Amount
	charges       []*modelCharge
	earned, spent creditcore.Amount
}

func (m *model) balance() creditcore.Amount   { return m.earned - m.spent }
func (m *model) available() creditcore.Amount { return m.balance() - m.held }

func (m *model) order() []*modelLot {
	return slices.SortedFunc(slices.Values(m.lots), func(a, b *modelLot) int {
		never := func(l *modelLot) time.Duration {
			switch {
			case l.expires != 0 && l.expires <= m.clock: // kept for holds
				return l.expires - 1<<61
			case l.prolonged:
				return -1
			case l.expires == 0:
				return 1 << 62
			}
			return l.expires
		}
		paid := func(l *modelLot) int {
			if l.promo {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(never(a), never(b)),
			cmp.Compare(paid(a), paid(b)), cmp.Compare(a.sequence, b.sequence))
	})
}

func (m *model) burn(n creditcore.Amount) (parts []modelPart) {
	for _, l := range m.order() {
		take := min(n, l.remaining)
		parts = append(parts, modelPart{l, take})
		l.remaining -= take
		l.burnt += take
		n -= take
	}
	if n != 0 {
		panic("the model overdrew")
	}
	return parts
}

func (m *model) spend(id string, n creditcore.Amount) {
	m.charges = append(m.charges, &modelCharge{id, n, m.burn(n)})
	m.spent += n
}

// refund gives back to the lots of the charge, the last first, and what of it
// is no longer charged to them to the others, likewise.
func (m *model) refund(c *modelCharge, n creditcore.Amount, sequence int) {
	c.left -= n
	m.spent -= n
	left := n
	for i := range slices.Backward(c.parts) {
		part := &c.parts[i]
		take := min(n, part.n)
		part.n -= take
		n -= take
		back := min(take, part.lot.burnt)
		m.putBack(part.lot, back, sequence)
		left -= back
	}
	order := m.order()
	slices.Reverse(order)
	for _, l := range order {
		back := min(left, l.burnt)
		m.putBack(l, back, sequence)
		left -= back
	}
	if left > 0 {
		m.lots = append(m.lots, &modelLot{name: "refund", promo: true, sequence: sequence, granted: left, remaining: left})
	}
}

func (m *model) putBack(l *modelLot, n creditcore.Amount, sequence int) {
	l.burnt -= n
	if n == 0 || l.prolonged || l.expires == 0 || l.expires > m.clock {
		l.remaining += n
		return
	}
	l.expired += n
	late := &modelLot{name: string(l.source), source: l.source, prolonged: true, priority: l.priority, promo: l.promo, sequence: sequence, granted: n, remaining: n}
	m.lots = append(m.lots, late)
}

// expire is what any touch of the account does first.
func (m *model) expire() {
	held, kept := m.held, make(map[*modelLot]creditcore.Amount)
	order := m.order()
	for _, l := range order {
		kept[l] = min(held, l.remaining)
		held -= kept[l]
	}
	room := make(map[time.Duration]creditcore.Amount) // taken of what rolls to a time
	for _, l := range m.lots {
		if l.rolled {
			room[l.expires] += l.remaining
		}
	}
	for _, l := range slices.Backward(order) { // the last to be used is the first to roll
		if l.expires == 0 || l.expires > m.clock {
			continue
		}
		free, rolls := l.remaining-kept[l], creditcore.Amount(0)
		if l.rollsTo > m.clock {
			rolls = max(0, min(free, l.rollsOver-room[l.rollsTo]))
			room[l.rollsTo] += free
		}
		l.remaining, l.expired = l.remaining-free+rolls, l.expired+free-rolls
		m.spent += free - rolls
		if rolls > 0 && kept[l] == 0 {
			l.expires, l.rollsTo, l.rollsOver, l.rolled = l.rollsTo, 0, 0, true
		}
	}
}

func seeds(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv("MANA_TEST_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return seed
	}
	return rand.Uint64()
}

// Every account behaves as the model says, whatever order things happen in.
// Each of 24 workers drives an account of its own against its model, and
// between times disturbs two accounts that all share.
func TestLedgerFollowsTheModel(t *testing.T) {
	t.Parallel()
	seed := seeds(t)
	t.Logf("MANA_TEST_SEED=%d", seed)
	steps := 60
	if os.Getenv("MANA_SOAK") != "" {
		steps = 600
	}
	l := newLedger(t)
	leasing, _ := l.edge(creditcore.Config{FlushEvery: 10 * time.Millisecond, LeaseIdle: 60 * time.Millisecond})
	shared := []string{l.user("shared-a", creditcore.Credits(100)), l.user("shared-b", creditcore.Credits(100))}
	var workers sync.WaitGroup
	for w := range 24 {
		d := &driver{
			ledger: l, leasing: leasing, t: t, rng: rand.New(rand.NewPCG(seed, uint64(w))), user: l.user(fmt.Sprintf("user-%d", w), 0),
			model: model{holds: make(map[string]creditcore.Amount)},
		}
		workers.Go(func() {
			for step := range steps {
				if t.Failed() {
					return
				}
				d.step(step)
				d.disturb(shared)
			}
			d.compareLots()
		})
	}
	workers.Wait()
}

// driver takes one account and its model through random steps.
type driver struct {
	*ledger
	leasing *ledger // another edge, which leases
	t       *testing.T
	rng     *rand.Rand
	user    string
	model   model
	n       int
}

func (d *driver) amount(limit creditcore.Amount) creditcore.Amount {
	return 1 + creditcore.Amount(d.rng.Int64N(int64(max(limit, 1))))
}

func (d *driver) debit(x creditcore.Debit) (r creditcore.Receipt, err error) {
	if x.Key == "" {
		d.n++
		x.Key = fmt.Sprintf("debit-%d", d.n)
	}
	err = patiently(func() (err error) {
		r, err = d.ledger.debit(x)
		return err
	})
	return r, err
}

func (d *driver) step(step int) {
	m := &d.model
	kind := d.rng.IntN(13)
	name := []string{"grant", "debit", "debit", "debit", "hold", "settle", "release", "refund", "pass time", "clawback", "extend", "lease", "roll over"}[kind]
	var err error
	if m.expire(); kind != 8 {
		defer func() {
			if err != nil {
				d.t.Errorf("step %d of %s, %s: %v", step, d.user, name, err)
			}
			m.expire() // reading the balance is a touch too
			var b creditcore.Balance
			berr := patiently(func() (err error) {
				b, err = d.BalanceOf(d.t.Context(), d.user)
				return err
			})
			if berr != nil || b.Available != m.available() || b.Held != m.held || b.TotalEarned != m.earned || b.TotalSpent != m.spent+m.held {
				d.t.Errorf("step %d of %s, %s: %+v, %v; the model has %s available, %s held, %s earned, %s spent",
					step, d.user, name, b, berr, m.available(), m.held, m.earned, m.spent)
			}
		}()
	}
	switch name {
	case "grant":
		err = d.addLot()
	case "debit":
		n := d.amount(m.available() + 3)
		var r creditcore.Receipt
		if r, err = d.debit(creditcore.Debit{UserID: d.user, Amount: n}); n > m.available() {
			err = wantShort(err)
		} else if err == nil {
			m.spend(r.Entry.ID, n)
		}
	case "hold":
		n := d.amount(m.available() + 3)
		var h creditcore.Held
		err = patiently(func() (err error) {
			h, err = d.Hold(d.t.Context(), creditcore.Hold{UserID: d.user, Amount: n, TTL: time.Hour})
			return err
		})
		if n > m.available() {
			err = wantShort(err)
		} else if err == nil {
			m.holds[h.ID] = n
			m.held += n
		}
	case "extend":
		for id := range m.holds {
			n := d.amount(m.available() + 3)
			err = patiently(func() error {
				_, _, err := d.Extend(d.t.Context(), creditcore.Held{ID: id, Account: d.user}, n)
				return err
			})
			if n > m.available() {
				err = wantShort(err)
			} else if err == nil {
				m.holds[id] += n
				m.held += n
			}
			break
		}
	case "settle", "release":
		for id, n := range m.holds {
			delete(m.holds, id)
			m.held -= n
			if name == "release" {
				err = patiently(func() error {
					_, err := d.Release(d.t.Context(), id)
					return err
				})
			} else {
				charge := creditcore.Amount(d.rng.Int64N(int64(n) + 1))
				var r creditcore.Receipt
				err = patiently(func() (err error) {
					r, err = d.Settle(d.t.Context(), id, charge, nil)
					return err
				})
				if charge > 0 && err == nil {
					m.spend(r.Entry.ID, charge)
				}
			}
			break
		}
	case "refund":
		if len(m.charges) == 0 {
			return
		}
		c := m.charges[d.rng.IntN(len(m.charges))]
		n := d.amount(c.left + 2)
		d.n++
		key := fmt.Sprintf("refund-%d", d.n)
		err = patiently(func() error {
			_, err := d.Refund(d.t.Context(), creditcore.Refund{UserID: d.user, Amount: n, EntryID: c.id, Key: key})
			return err
		})
		if n > c.left {
			if !errors.Is(err, creditcore.ErrRefundExceeds) {
				err = fmt.Errorf("more than is left was refunded: %w", err)
			} else {
				err = nil
			}
			return
		}
		d.n++
		m.refund(c, n, d.n)
	case "pass time":
		d.passTime(time.Duration(d.rng.IntN(30)) * time.Minute)
	case "clawback":
		err = d.takeBack()
	case "lease":
		err = d.lease()
	case "roll over":
		err = d.rollOver()
	}
}

// lease charges small amounts on the edge that leases, some of which come to nothing,
// until the lease has gone back.
func (d *driver) lease() error {
	m := &d.model
	most := m.available() / 100
	if most == 0 {
		return nil
	}
	before, err := d.HistoryOf(d.t.Context(), creditcore.Caller{UserID: d.user}, creditcore.HistoryFilter{}, 1)
	if err != nil {
		return err
	}
	var want creditcore.Amount
	for leased, i := 0, 0; leased < 4 && i < 30; i++ {
		n, answered := d.amount(most), d.rng.IntN(4) > 0
		var ofLease bool
		err := patiently(func() (err error) {
			ofLease, err = d.leasing.charge(d.user, n, answered)
			return err
		})
		if err != nil {
			return err
		}
		if answered {
			want += n
		}
		if ofLease {
			leased++
		} else {
			time.Sleep(3 * time.Millisecond)
		}
	}
	for end := time.Now().Add(time.Minute); d.leasing.Watches(d.user); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the lease does not go back")
		}
	}
	rows, err := d.HistoryOf(d.t.Context(), creditcore.Caller{UserID: d.user}, creditcore.HistoryFilter{}, 100)
	if err != nil {
		return err
	}
	slices.Reverse(rows)
	var got creditcore.Amount
	for _, row := range rows {
		switch {
		case len(before) > 0 && row.Sequence <= before[0].Sequence:
		case row.Type == creditcore.Usage:
			m.spend(row.ID, -row.Amount)
			got -= row.Amount
		case row.Type == creditcore.Expiry: // with the first touch of the account, as the model has it
		default: // it came to nothing before there was a lease
			i := slices.IndexFunc(m.charges, func(c *modelCharge) bool { return c.id == *row.Reverses })
			d.n++
			m.refund(m.charges[i], row.Amount, d.n)
			got -= row.Amount
		}
	}
	if got != want {
		return fmt.Errorf("%s charged, want %s", got, want)
	}
	return nil
}

func wantShort(err error) error {
	if !short(err) {
		return fmt.Errorf("more than was available: %w", err)
	}
	return nil
}

func (d *driver) addLot() error {
	d.n++
	l := &modelLot{name: fmt.Sprintf("lot-%d", d.n), priority: d.rng.IntN(3) - 1, sequence: d.n, promo: true, granted: d.amount(20_000)}
	l.remaining = l.granted
	source := creditcore.SourceGift
	switch d.rng.IntN(5) {
	case 0, 1:
		source, l.promo = creditcore.SourcePurchase, false
	case 3, 4:
		source, l.promo = creditcore.SourceSubscription, false
	case 2:
		source = creditcore.SourcePromotion
	}
	l.source = source
	var expires *time.Time
	if d.rng.IntN(2) == 0 {
		// Distinct, and far enough for the test never to meet it by the real clock.
		l.expires = d.model.clock + time.Duration(1+d.rng.IntN(180))*time.Minute + time.Duration(d.n)*time.Millisecond
		t := epoch.Add(l.expires - d.model.clock)
		expires = &t
	}
	err := patiently(func() error {
		_, err := d.Grant(d.t.Context(), creditcore.Grant{UserID: d.user, Amount: l.granted, Type: creditcore.Gift, Source: source,
			Priority: l.priority, Reference: l.name, ExpiresAt: expires, InternalKey: d.user + ":" + l.name})
		return err
	})
	d.model.lots = append(d.model.lots, l)
	d.model.earned += l.granted
	return err
}

// epoch is the model's now: far ahead of the database's.
var epoch = time.Now().Add(1000 * time.Hour).Truncate(time.Millisecond)

// passTime brings the ends of all lots nearer. One that the model's clock has
// reached gets an end that the database's clock has reached too.
func (d *driver) passTime(by time.Duration) {
	d.model.clock += by
	err := dbscope.InTx(d.t.Context(), d.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		for _, sql := range []string{
			`SELECT ` + functions.Schema + `.account($1) WHERE $2::timestamptz IS NOT NULL AND $3::interval IS NOT NULL`,
			`SELECT ` + functions.Schema + `.burn($1) WHERE $2::timestamptz IS NOT NULL AND $3::interval IS NOT NULL`,
			`UPDATE credits.lots SET expires_at = CASE
			   WHEN expires_at < $2::timestamptz - interval '500 hours' THEN expires_at - $3::interval
			   WHEN expires_at - $3::interval <= $2 THEN expires_at - $3::interval - interval '2000 hours'
			   ELSE expires_at - $3::interval END
			 WHERE user_id = $1 AND expires_at IS NOT NULL`,
			`UPDATE credits.lots SET rolls_to = CASE
			   WHEN rolls_to - $3::interval <= $2::timestamptz THEN rolls_to - $3::interval - interval '2000 hours'
			   ELSE rolls_to - $3::interval END
			 WHERE user_id = $1 AND rolls_to > $2::timestamptz`,
			`UPDATE credits.balances SET next_expiry = (SELECT min(expires_at) FROM credits.lots WHERE user_id = $1 AND remaining > 0)
			 WHERE user_id = $1 AND $2::timestamptz IS NOT NULL AND $3::interval IS NOT NULL`,
		} {
			if _, err := tx.Exec(d.t.Context(), sql, d.user, epoch, by); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Errorf("pass time: %v", err)
	}
}

// rollOver lets credits of subscriptions live on.
func (d *driver) rollOver() error {
	m := &d.model
	d.n++
	r := creditcore.RollOver{UserID: d.user, UpTo: d.amount(15_000)}
	until := m.clock + time.Duration(60+d.rng.IntN(240))*time.Minute + time.Duration(d.n)*time.Millisecond
	r.Until = epoch.Add(until - m.clock)
	for _, l := range m.lots {
		if l.source == creditcore.SourceSubscription && !l.prolonged && l.expires > m.clock && l.expires < until {
			l.rollsOver, l.rollsTo = r.UpTo, until
		}
	}
	return patiently(func() error {
		return dbscope.InTx(d.t.Context(), d.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			return d.RollOverTx(d.t.Context(), tx, r)
		})
	})
}

func (d *driver) takeBack() error {
	m := &d.model
	if len(m.lots) == 0 {
		return nil
	}
	l := m.lots[d.rng.IntN(len(m.lots))]
	if !strings.HasPrefix(l.name, "lot-") || l.expires != 0 {
		return nil
	}
	d.n++
	reinstate := d.rng.IntN(3) == 0
	most := l.granted
	if !reinstate { // what is not there is a debt, see the tests of billing
		most = min(l.granted-l.clawed, m.available())
	}
	if most == 0 {
		return nil
	}
	c := creditcore.Clawback{UserID: d.user, Reference: l.name, Amount: d.amount(most), InternalKey: fmt.Sprintf("%s-%d", d.user, d.n)}
	var taken creditcore.Amount
	err := patiently(func() error {
		return dbscope.InTx(d.t.Context(), d.db.Pool, dbscope.System(), func(tx pgx.Tx) (err error) {
			if reinstate {
				return d.ReinstateTx(d.t.Context(), tx, c)
			}
			r, err := d.ClawbackTx(d.t.Context(), tx, c)
			taken = r.Taken
			return err
		})
	})
	if reinstate {
		if c.Amount > l.clawed {
			if errors.Is(err, creditcore.ErrRefundExceeds) {
				return nil
			}
			return fmt.Errorf("more than was taken was reinstated: %w", err)
		}
		l.clawed -= c.Amount
		l.remaining += c.Amount
		m.earned += c.Amount
		return err
	}
	if taken != c.Amount {
		return errors.Join(err, fmt.Errorf("took %s, want %s", taken, c.Amount))
	}
	own := min(taken, l.remaining)
	l.remaining -= own
	l.burnt -= taken - own
	l.clawed += taken
	m.burn(taken - own)
	m.earned -= taken
	return err
}

func (d *driver) compareLots() {
	m := &d.model
	m.expire()
	want := amounts{}
	for _, l := range m.lots {
		want[l.name] += l.remaining
	}
	got := d.lots(d.user)
	if diff := gocmp.Diff(want, got); diff != "" && !(len(want) == 0 && len(got) == 0) {
		d.t.Errorf("lots of %s (-model +ledger):\n%s", d.user, diff)
	}
}

// disturb moves credits between two accounts that every worker uses, as gifts
// do, and retries under one key.
func (d *driver) disturb(shared []string) {
	from, to := shared[d.rng.IntN(2)], shared[d.rng.IntN(2)]
	n := d.amount(3000)
	err := dbscope.InTx(d.t.Context(), d.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		if err := d.LockTx(d.t.Context(), tx, from, to); err != nil {
			return err
		}
		r, err := d.DebitTx(d.t.Context(), tx, creditcore.Debit{UserID: from, Amount: n, Type: creditcore.Gift})
		if err != nil {
			return err
		}
		if d.rng.IntN(4) == 0 {
			_, err = d.RefundTx(d.t.Context(), tx, creditcore.Refund{UserID: from, Amount: n, EntryID: r.Entry.ID, Of: creditcore.Gift})
			return err
		}
		_, err = d.GrantTx(d.t.Context(), tx, creditcore.Grant{UserID: to, Amount: n, Type: creditcore.Gift, Source: creditcore.SourceGift})
		return err
	})
	var late *pgconn.PgError // the lock came too late
	if errors.As(err, &late) && late.Code == "57014" {
		err = creditcore.ErrUnavailable
	}
	if err != nil && !short(err) && !errors.Is(err, creditcore.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		d.t.Errorf("gift from %s to %s: %v", from, to, err)
	}
	_, err = d.debit(creditcore.Debit{UserID: to, Amount: 1, Key: strconv.Itoa(d.rng.IntN(20))})
	if err != nil && !short(err) {
		d.t.Errorf("keyed debit: %v", err)
	}
}
