package billing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/topup"
	"mana.how/edge/internal/stripetest"
)

// refillModel is an account's top-up: what its owner agreed to, the dips that there were, and
// what was bought. Without one nothing is ever low.
type refillModel struct {
	threshold creditcore.Amount
	most      int64 // cents a month, by what is agreed to or was when the step began
	low       bool
	// eaten is set where what was bought last paid a debt, and the account is low again: that
	// dip came while its top-up was under way, and has none.
	eaten  bool
	dips   int
	bought map[string]time.Time
}

// moved sees the balance after a row. It is low once, until something that is new makes it
// reach the threshold; debt is set for what a debt is paid with.
func (m *refillModel) moved(by, balance creditcore.Amount, came, debt bool) {
	switch {
	case m == nil:
	case by < 0 && !m.low && balance < m.threshold:
		m.low, m.eaten = true, debt
		m.dips++
	case came && balance >= m.threshold:
		m.low = false
	}
}

// buy checks a purchase: one for a dip, and within a day's and a month's limits.
func (m *refillModel) buy(id string, at time.Time) error {
	if _, twice := m.bought[id]; twice || id == "" {
		return fmt.Errorf("dip %q was topped up before", id)
	}
	if len(m.bought) >= m.dips {
		return fmt.Errorf("there were %d dips, and as many purchases", m.dips)
	}
	if day, cents := m.of(at); day >= topup.MostADay || cents+packCents > m.most {
		return fmt.Errorf("%d were bought that day, for %d cents that month: at most %d, and %d", day, cents, topup.MostADay, m.most)
	}
	m.bought[id] = at
	return nil
}

// of is how many were bought in the 24 hours before, and for how much in the month (UTC).
func (m *refillModel) of(at time.Time) (day int, cents int64) {
	for _, when := range m.bought {
		if when.After(at.Add(-24 * time.Hour)) {
			day++
		}
		if when.UTC().Format("2006-01") == at.UTC().Format("2006-01") {
			cents += packCents
		}
	}
	return day, cents
}

// topUps goes on with what is due on an edge, and has the webhooks of both tell of what
// happened at Stripe, some of it twice, until ctx ends.
func (w *wide) topUps(ctx context.Context, i int, rng *rand.Rand) {
	for ; ctx.Err() == nil; wait(ctx, time.Duration(5+rng.IntN(20))*time.Millisecond) {
		w.still.RLock()
		err := w.edges[i].billing.TopUpDue(ctx)
		if err != nil && !unavailable(err) && !w.troubled.Load() && ctx.Err() == nil {
			w.t.Errorf("top up: %v", err)
		}
		events := w.stripe.Events()
		for told := int(w.told[i].Load()); told < len(events); told++ {
			if told%wideEdges == i || rng.IntN(8) == 0 {
				w.tell(ctx, i, events[told])
			}
			w.told[i].Add(1)
		}
		w.still.RUnlock()
	}
}

// tell has the webhook of an edge take an event, until it does.
func (w *wide) tell(ctx context.Context, edge int, e stripetest.Event) {
	err := patiently(func() error {
		return w.stripe.Deliver(func(payload []byte, signature string) error {
			return w.edges[edge].billing.Webhook(ctx, payload, signature)
		}, e)
	})
	if err != nil && ctx.Err() == nil {
		w.t.Errorf("event %s: %v", e.Type, err)
	}
}

// alone does what the model must see the ledger before and after of, while no top-up is
// under way, and none was paid for that nobody was told of.
func (d *wideDriver) alone(change func() error) error {
	d.still.Lock()
	defer d.still.Unlock()
	for _, e := range d.stripe.Events()[min(d.told[0].Load(), d.told[1].Load()):] {
		d.tell(d.t.Context(), 0, e)
	}
	if err := d.follow(d.model); err != nil {
		return err
	}
	return change()
}

// agree changes what the owner agreed to. That begins a dip anew.
func (d *wideDriver) agree() error {
	to := topup.Change{Enabled: true, Threshold: d.amount(creditcore.Credits(300)), PackageID: packageID, MonthlyCap: packCents * (1 + d.rng.Int64N(4))}
	return d.alone(func() error {
		err := patiently(func() error { return d.edge().billing.SetTopUp(d.t.Context(), d.caller(), to) })
		if err != nil {
			return err
		}
		m := d.model.refill
		m.threshold, m.most = to.Threshold, to.MonthlyCap
		if m.low, m.eaten = d.model.balance < m.threshold, false; m.low {
			m.dips++
		}
		return nil
	})
}

// nextDay has what was bought be of the day before, and what waits be due. That may be another month.
func (d *wideDriver) nextDay() error {
	return d.alone(func() error {
		m := d.model.refill
		for id, at := range m.bought {
			m.bought[id] = at.Add(-25 * time.Hour)
		}
		return patiently(func() error {
			return d.try(`UPDATE credits.top_ups SET ordered_at = CASE WHEN state = 'bought' THEN ordered_at - interval '25 hours' ELSE ordered_at END,
				due_at = CASE WHEN state = 'open' THEN clock_timestamp() ELSE due_at END
				WHERE account_id = $1 AND state IN ('open', 'bought')`, d.user)
		})
	})
}

// card is declined, works again, or an answer of Stripe is lost.
func (d *wideDriver) changeCard() error {
	switch d.rng.IntN(4) {
	case 0:
		d.stripe.CardIs(d.card, stripetest.Declined)
	case 1:
		d.troubled.Store(true)
		d.stripe.LoseNext("POST", "/v1/payment_intents/", 1)
	default:
		d.stripe.CardIs(d.card, stripetest.Works)
		return patiently(func() error {
			return d.try(`UPDATE credits.top_ups SET due_at = clock_timestamp() WHERE account_id = $1 AND state = 'open' AND reason IN ('declined', 'stripe')`, d.user)
		})
	}
	return nil
}

// moneyBack has Stripe give back some of what a top-up was paid with: as much of its credits
// goes, and what is not there any more is owed.
func (d *wideDriver) moneyBack() error {
	type paid struct {
		Intent   string
		Reversed creditcore.Amount
	}
	var list []string
	for id := range d.model.refill.bought {
		if d.refunded[id] < packCents {
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	id := list[d.rng.IntN(len(list))]
	return d.alone(func() error {
		before, err := one[paid](d.wide, paidSQL, id, d.user)
		if err != nil {
			return err
		}
		cents := 1 + d.rng.Int64N(packCents-d.refunded[id])
		d.refunded[id] += cents
		d.model.begin()
		owed := d.model.debt
		for _, e := range d.stripe.Refund(before.Intent, cents) {
			d.tell(d.t.Context(), d.rng.IntN(wideEdges), e)
		}
		after, err := one[paid](d.wide, paidSQL, id, d.user)
		if err != nil {
			return err
		}
		share := creditcore.Credits(packCredits) * creditcore.Amount(d.refunded[id]) / packCents
		if after.Reversed > share || after.Reversed < share-creditcore.Credit {
			return fmt.Errorf("%d cents went back in all, and %s credits", d.refunded[id], after.Reversed)
		}
		if err := d.follow(d.model); err != nil {
			return err
		}
		d.model.debt += after.Reversed - before.Reversed - d.model.takenBack
		if d.model.debt < owed || d.model.debt > owed && d.model.available() > 0 {
			return fmt.Errorf("%s of %s was taken, %s is available and %s owed", d.model.takenBack, after.Reversed-before.Reversed, d.model.available(), d.model.debt)
		}
		return nil
	})
}

const paidSQL = `SELECT p.stripe_payment_intent_id AS intent, p.reversed_credits AS reversed FROM credits.purchases AS p WHERE p.id = $1 AND p.user_id = $2`

// wantRefilled checks, once nothing is under way, that each dip was told of once, and that an
// account which is low has no more to be bought for it.
func (d *wideDriver) wantRefilled() {
	m := d.model.refill
	if n := d.count(`SELECT count(*) FROM credits.alerts WHERE account_id = $1 AND kind = 'low'`, d.user); n != int64(m.dips) {
		d.t.Errorf("%s was told of %d dips, there were %d", d.user, n, m.dips)
	}
	now, err := d.edges[0].billing.TopUpOf(d.t.Context(), d.user)
	day, cents := m.of(time.Now())
	if err != nil || now.Spent != cents || now.Enabled && m.low && !m.eaten && day < topup.MostADay && cents+packCents <= m.most {
		d.t.Errorf("%s is not topped up: %+v, %v, %q; the model has %d of today, %d cents, %s", d.user, now, err,
			d.text(`SELECT string_agg(t::text, ' ') FROM credits.top_ups AS t WHERE account_id = $1`, d.user), day, cents, d.model.balance)
	}
}
