package billing_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// modelRow is a row of a ledger, with what it was written for.
type modelRow struct {
	ID        string
	Sequence  int64
	Type      creditcore.EntryType
	Amount    creditcore.Amount
	Before    creditcore.Amount
	After     creditcore.Amount
	AppID     string
	Metadata  json.RawMessage
	Reverses  string
	APIKey    string
	CreatedAt time.Time
	Reference string // of its lot
	Ends      *time.Time
	Promotion bool
	Priority  int
}

func (r modelRow) paysDebt() bool {
	return r.Type == creditcore.Adjustment && strings.Contains(string(r.Metadata), `"debt"`)
}

const modelRowsSQL = `
	SELECT t.id, t.sequence, t.type, t.amount, t.balance_before AS before, t.balance_after AS after, t.app_id, t.metadata,
		coalesce(t.reverses, '') AS reverses, coalesce(t.api_key_id, '') AS api_key, t.created_at,
		coalesce(l.reference, '') AS reference, l.expires_at AS ends, coalesce(l.promotional, false) AS promotion,
		coalesce(l.priority, 0) AS priority
	FROM credits.transactions AS t
	LEFT JOIN credits.lots AS l ON l.transaction_id = t.id AND l.user_id = t.user_id AND l.parent IS NULL
	WHERE t.user_id = $1 AND t.sequence > $2
	ORDER BY t.sequence`

// claim is what a call of ours must have written: so much, of a charge with the key that made
// it, and with what its hold had reserved.
type claim struct {
	amount creditcore.Amount
	key    string
	hold   creditcore.Amount
	ends   time.Time // of a grant, zero for never
}

// keyModel is an API key with a budget, 0 for none.
type keyModel struct {
	budget, spent creditcore.Amount
	least         creditcore.Amount // that the budget left since the step began
}

func (k *keyModel) left() creditcore.Amount { return k.budget - k.spent }

// lotModel is a lot whose credits are burnt at once.
type lotModel struct {
	promotion, prolonged bool
	priority             int
	ends                 time.Time // zero for never
	order                int
	remaining, burnt     creditcore.Amount
}

func (l *lotModel) over(at time.Time) bool { return !l.ends.IsZero() && !l.ends.After(at) }

// lotPart is what a lot paid of a charge.
type lotPart struct {
	lot    *lotModel
	amount creditcore.Amount
}

type chargeModel struct {
	id, key string
	left    creditcore.Amount
	parts   []lotPart // in the order of burning
}

// accountModel is what an account must be like, by the rows of its ledger. They come in
// the order of their numbers, and each must be allowed where it stands.
type accountModel struct {
	id                                 string
	read                               int64
	balance, held, debt, earned, spent creditcore.Amount
	least                              creditcore.Amount // that was available since the step began
	bought, given, returned, expired   creditcore.Amount
	used                               creditcore.Amount
	claims                             map[string]claim
	keys                               map[string]*keyModel
	charges                            []*chargeModel
	lots                               []*lotModel       // nil with top-ups
	dying                              creditcore.Amount // what more rows must say that expired
	days                               map[string]bool   // on which credits of the day came
	trial                              bool
	refill                             *refillModel
	takenBack                          creditcore.Amount // since the step began
	followsLots                        bool
}

func newAccountModel(id string) *accountModel {
	return &accountModel{id: id, claims: map[string]claim{}, keys: map[string]*keyModel{}, days: map[string]bool{}}
}

func (m *accountModel) available() creditcore.Amount { return m.balance - m.held }

// begin begins a step: what is refused from now on must lack something since.
func (m *accountModel) begin() {
	m.least, m.takenBack = m.available(), 0
	for _, k := range m.keys {
		k.least = k.left()
	}
}

// follow reads the rows that are new.
func (w *wide) follow(m *accountModel) error {
	rows, err := dbscope.Rows[modelRow](w.t.Context(), w.db.Pool, dbscope.System(), modelRowsSQL, m.id, m.read)
	for _, r := range rows {
		if err == nil {
			if err = m.row(r); err != nil {
				err = fmt.Errorf("row %d, %s %s of %v: %w", r.Sequence, r.Type, r.Amount, r.CreatedAt, err)
			}
		}
	}
	return err
}

func (m *accountModel) row(r modelRow) error {
	if r.Sequence != m.read+1 || r.Before != m.balance || r.After != r.Before+r.Amount {
		return fmt.Errorf("it goes from %s to %s after row %d and %s", r.Before, r.After, m.read, m.balance)
	}
	m.read = r.Sequence
	if r.Type != creditcore.Expiry {
		if due := m.expire(r.CreatedAt); m.dying != 0 || due != 0 {
			return fmt.Errorf("%s should have expired before", m.dying+due)
		}
	}
	var err error
	switch r.Type {
	case creditcore.Expiry:
		err = m.expiry(r)
	case creditcore.Usage:
		err = m.charge(r)
	case creditcore.Returned:
		err = m.refund(r)
	case creditcore.Adjustment:
		err = m.adjust(r)
	default:
		err = m.grant(r)
	}
	if r.Type == creditcore.Usage || r.Type == creditcore.Returned || r.Type == creditcore.Expiry {
		m.spent -= r.Amount
	} else {
		m.earned += r.Amount
	}
	m.balance += r.Amount
	m.least = min(m.least, m.available())
	m.refill.moved(r.Amount, m.balance, r.Amount > 0 && r.Type != creditcore.Returned, r.paysDebt())
	return err
}

func (m *accountModel) expiry(r modelRow) error {
	if m.dying == 0 {
		m.dying = m.expire(r.CreatedAt)
	}
	if m.dying += r.Amount; m.dying < 0 {
		return fmt.Errorf("%s too much", -m.dying)
	}
	m.expired -= r.Amount
	return nil
}

func (m *accountModel) charge(r modelRow) error {
	c, ok := m.claims[r.ID]
	delete(m.claims, r.ID)
	if m.held -= c.hold; !ok || -r.Amount != c.amount || r.APIKey != c.key || c.hold > 0 && c.amount > c.hold {
		return fmt.Errorf("it was to be %s by key %q, of %s held (%t)", c.amount, c.key, c.hold, ok)
	}
	if c.amount > m.available() {
		return fmt.Errorf("only %s was available", m.available())
	}
	if k := m.keys[c.key]; k != nil {
		if k.spent += c.amount - c.hold; k.budget > 0 && k.left() < 0 && c.hold == 0 {
			return fmt.Errorf("the budget %s of the key is exceeded by %s", k.budget, -k.left())
		}
		k.least = min(k.least, k.left())
	}
	m.used += c.amount
	m.charges = append(m.charges, &chargeModel{r.ID, c.key, c.amount, m.burn(c.amount)})
	return nil
}

func (m *accountModel) refund(r modelRow) error {
	id := r.ID
	if _, ok := m.claims[id]; !ok {
		id = "of " + r.Reverses // of a compensation the charge is known alone
	}
	c, ok := m.claims[id]
	delete(m.claims, id)
	i := slices.IndexFunc(m.charges, func(c *chargeModel) bool { return c.id == r.Reverses })
	if !ok || i < 0 || c.amount != r.Amount || m.charges[i].left < r.Amount {
		return fmt.Errorf("it was to be %s (%t) of %q", c.amount, ok, r.Reverses)
	}
	from := m.charges[i]
	from.left -= r.Amount
	if k := m.keys[from.key]; k != nil {
		k.spent -= r.Amount
	}
	m.used -= r.Amount
	m.putBack(from, r.Amount, r.CreatedAt)
	return nil
}

// adjust is money that went back, or that a debt is paid with what came in.
func (m *accountModel) adjust(r modelRow) error {
	if r.paysDebt() {
		if -r.Amount > min(m.debt, m.available()) {
			return fmt.Errorf("it pays of %s owed with %s available", m.debt, m.available())
		}
		m.debt += r.Amount
	} else {
		m.takenBack -= r.Amount
	}
	m.returned -= r.Amount
	if m.followsLots || m.refill == nil || r.Amount > 0 {
		return fmt.Errorf("nothing was taken back")
	}
	return nil
}

// grant is what we granted, a top-up, or what comes by itself: the credits of the day, once
// a day, and the trial, once.
func (m *accountModel) grant(r modelRow) error {
	c, ok := m.claims[r.ID]
	delete(m.claims, r.ID)
	ends := time.Time{}
	if r.Ends != nil {
		ends = *r.Ends
	}
	switch day := r.CreatedAt.UTC().Format(time.DateOnly); {
	case ok && c.amount == r.Amount && c.ends.Sub(ends).Abs() < 2*time.Microsecond:
	case ok:
		return fmt.Errorf("it was to be %s until %v, not until %v", c.amount, c.ends, ends)
	case r.AppID == "daily" && r.Amount == wideDaily && !m.days[day]:
		m.days[day] = true
	case r.Reference == "trial" && r.Amount == wideTrial && !m.trial:
		m.trial = true
	case r.Type == creditcore.Purchase && r.Amount == creditcore.Credits(packCredits) && m.refill != nil:
		if err := m.refill.buy(strings.TrimPrefix(r.Reference, "purchase:"), r.CreatedAt); err != nil {
			return err
		}
		m.bought += r.Amount
		return nil
	default:
		return fmt.Errorf("nobody granted it: %s %q", r.AppID, r.Reference)
	}
	m.given += r.Amount
	if m.followsLots {
		m.lots = append(m.lots, &lotModel{promotion: r.Promotion, priority: r.Priority, ends: ends, order: len(m.lots), remaining: r.Amount})
	}
	return nil
}

// inOrder are the lots as they are burnt.
func (m *accountModel) inOrder() []*lotModel {
	side := func(yes bool) int {
		if yes {
			return 0
		}
		return 1
	}
	return slices.SortedFunc(slices.Values(m.lots), func(a, b *lotModel) int {
		end := side(!a.ends.IsZero()) - side(!b.ends.IsZero())
		return cmp.Or(cmp.Compare(a.priority, b.priority), end, a.ends.Compare(b.ends), side(a.promotion)-side(b.promotion), a.order-b.order)
	})
}

func (m *accountModel) burn(n creditcore.Amount) (parts []lotPart) {
	if !m.followsLots {
		return nil
	}
	for _, l := range m.inOrder() {
		take := min(n, l.remaining)
		parts = append(parts, lotPart{l, take})
		l.remaining, l.burnt = l.remaining-take, l.burnt+take
		n -= take
	}
	return parts
}

// expire lets end what ends by then, but for what holds keep of it, and says how much that is.
func (m *accountModel) expire(at time.Time) (gone creditcore.Amount) {
	m.overAt(at, func(l *lotModel, n creditcore.Amount) {
		l.remaining -= n
		gone += n
	})
	return gone
}

// ending is what the next touch of the account lets end.
func (m *accountModel) ending(at time.Time) (gone creditcore.Amount) {
	m.overAt(at, func(_ *lotModel, n creditcore.Amount) { gone += n })
	return gone
}

func (m *accountModel) overAt(at time.Time, ends func(*lotModel, creditcore.Amount)) {
	held := m.held
	for _, l := range m.inOrder() {
		kept := min(held, l.remaining)
		n := l.remaining - kept
		if held -= kept; l.over(at) {
			ends(l, n)
		}
	}
}

// putBack gives a charge back to the lots that paid it, the last first, and what these were
// not charged with any more to others. What has ended meanwhile has 72 hours.
func (m *accountModel) putBack(c *chargeModel, n creditcore.Amount, at time.Time) {
	left := n
	give := func(l *lotModel, n creditcore.Amount) {
		if l.burnt -= n; n == 0 || l.prolonged || !l.over(at) {
			l.remaining += n
		} else {
			m.lots = append(m.lots, &lotModel{promotion: l.promotion, prolonged: true, priority: l.priority, order: len(m.lots),
				ends: at.Add(72*time.Hour + time.Duration(len(m.lots))), remaining: n})
		}
		left -= n
	}
	for i := range slices.Backward(c.parts) {
		part := &c.parts[i]
		take := min(n, part.amount)
		part.amount -= take
		n -= take
		give(part.lot, min(take, part.lot.burnt))
	}
	for _, l := range slices.Backward(m.inOrder()) {
		give(l, min(left, l.burnt))
	}
}

// wantShort checks a refusal of a charge or hold: by the key's budget or the balance, which
// must have been too small at some time since the step began.
func (m *accountModel) wantShort(err *creditcore.InsufficientError, amount creditcore.Amount, key string) error {
	least := m.least
	if err.OfKey {
		k := m.keys[key]
		if k == nil || k.budget == 0 {
			return fmt.Errorf("refused by the budget of key %q: %+v", key, err)
		}
		least = k.least
	}
	if err.Required != amount || err.Available >= amount || amount <= least {
		return fmt.Errorf("%s was refused with %+v, though %s was left", amount, err, least)
	}
	return nil
}
