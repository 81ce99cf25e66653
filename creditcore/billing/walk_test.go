package billing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/migrations/functions"
)

// walkSteps are what can happen to a buyer's credits, by name.
var walkSteps = []string{
	"purchase", "plan month", "gift made", "gift redeemed", "spent", "refunded in part", "refunded whole", "dispute lost", "dispute won", "expiry",
}

// walker is a buyer and a friend who take one way through the steps.
type walker struct {
	*counter
	name          string
	buyer, friend creditcore.Caller
	payments      []*walkPayment
	gifts         []gift.Made
	granted       creditcore.Amount
	months        int
}

type walkPayment struct {
	intent   string
	refunded int64 // cents
	disputed bool
}

// open is the newest payment that a refund or dispute is about.
func (w *walker) open(ok func(*walkPayment) bool) *walkPayment {
	for _, p := range slices.Backward(w.payments) {
		if ok(p) {
			return p
		}
	}
	return nil
}

// step reports whether anything happened.
func (w *walker) step(name string) bool {
	c, ctx := w.counter, context.Background()
	whole := func(most int64) int64 { return min(most, int64(c.balance(w.buyer.UserID)/creditcore.Credit)) }
	refundable := func(p *walkPayment) bool { return !p.disputed && p.refunded < packCents }
	switch name {
	case "purchase":
		w.payments = append(w.payments, &walkPayment{intent: c.bought(w.buyer)})
		w.granted += creditcore.Credits(packCredits)
	case "plan month":
		w.months++
		end := time.Now().Add(30 * 24 * time.Hour)
		_, err := c.ledger.Grant(ctx, creditcore.Grant{
			UserID: w.buyer.UserID, Amount: creditcore.Credits(500), Type: creditcore.Purchase, Source: creditcore.SourceSubscription,
			AppID: "stripe", Reference: fmt.Sprint("month:", w.months), ExpiresAt: &end,
		})
		if err != nil {
			c.t.Errorf("%s: %v", w.name, err)
		}
		w.granted += creditcore.Credits(500)
	case "gift made":
		n := whole(700)
		if n == 0 {
			return false
		}
		w.gifts = append(w.gifts, c.give(w.buyer, n, 1))
	case "gift redeemed":
		for len(w.gifts) > 0 {
			made := w.gifts[0]
			w.gifts = w.gifts[1:]
			if c.text(`SELECT status FROM gifts.gift_codes WHERE id = $1`, made.ID) == "active" {
				c.redeem(w.friend, made)
				return true
			}
		}
		return false
	case "spent":
		n := whole(400)
		if n == 0 {
			return false
		}
		c.spend(w.buyer, n)
	case "refunded in part", "refunded whole":
		p := w.open(refundable)
		if p == nil {
			return false
		}
		cents := packCents - p.refunded
		if name == "refunded in part" {
			cents = min(cents, 333)
		}
		p.refunded += cents
		c.deliver(c.stripe.Refund(p.intent, cents)...)
	case "dispute lost":
		p := w.open(refundable)
		if p == nil {
			return false
		}
		p.disputed = true
		c.deliver(c.stripe.Dispute(p.intent, packCents-p.refunded)...)
	case "dispute won":
		p := w.open(func(p *walkPayment) bool { return p.disputed })
		if p == nil {
			return false
		}
		p.disputed = false
		c.deliver(c.stripe.WinDispute(p.intent)...)
	case "expiry":
		both := []string{w.buyer.UserID, w.friend.UserID}
		if c.count(`SELECT count(*) FROM credits.lots WHERE user_id = ANY ($1) AND expires_at > now()`, both) == 0 {
			return false
		}
		c.exec(`UPDATE credits.lots SET expires_at = now() WHERE user_id = ANY ($1) AND expires_at > now()`, both)
		c.exec(`UPDATE credits.balances SET next_expiry = now() WHERE user_id = ANY ($1)`, both)
	}
	return true
}

// check compares what the two have with what was paid, went back and was given.
func (w *walker) check() {
	var debt, available creditcore.Amount
	both := []string{w.buyer.UserID, w.friend.UserID}
	for _, id := range both {
		w.exec(`SELECT `+functions.Schema+`.burn($1) FROM (SELECT `+functions.Schema+`.account($1)) AS locked`, id)
		b, err := w.ledger.BalanceOf(context.Background(), id)
		if err != nil {
			w.t.Errorf("%s: %v", w.name, err)
			return
		}
		debt, available = debt+b.Debt, available+b.Available
	}
	sum := func(sql string, args ...any) creditcore.Amount {
		return creditcore.Amount(w.count(`SELECT coalesce((`+sql+`), 0)`, args...))
	}
	const rows = `SELECT -sum(amount) FROM credits.transactions WHERE user_id = ANY ($1) AND type = `
	spent, expired := sum(rows+`'usage'`, both), sum(rows+`'expiry'`, both)
	gifts := sum(`SELECT sum(credits_per_portion * (total_portions - claimed_portions)) FROM gifts.gift_codes WHERE creator_id = $1 AND status = 'active'`, w.buyer.UserID)
	var returned creditcore.Amount
	for _, p := range w.payments {
		cents := p.refunded
		if p.disputed {
			cents = packCents
		}
		back := sum(`SELECT reversed_credits FROM credits.purchases WHERE stripe_payment_intent_id = $1`, p.intent)
		if want := float64(cents) * packCredits * 1000 / packCents; float64(back) < want-1000 || float64(back) > want {
			w.t.Errorf("%s: %d cents went back, and %s credits", w.name, cents, back)
		}
		returned += back
		left := sum(`WITH RECURSIVE made AS (
				SELECT l.id, l.remaining FROM credits.lots AS l JOIN credits.purchases AS p ON l.reference = 'purchase:' || p.id
				WHERE p.stripe_payment_intent_id = $1
			UNION ALL
				SELECT l.id, l.remaining FROM credits.lots AS l JOIN made AS m ON l.parent = m.id
			)
			SELECT sum(remaining) + coalesce((SELECT sum(d.amount - d.passed_on - d.returned) FROM credits.draws AS d WHERE d.lot_id IN (SELECT id FROM made)), 0)
			FROM made`, p.intent)
		if left > creditcore.Credits(packCredits)-back {
			w.t.Errorf("%s: %s credits are left of a purchase of which %s went back", w.name, left, back)
		}
	}
	if available+gifts+spent+expired-debt != w.granted-returned {
		w.t.Errorf("%s: %s available + %s in gifts + %s spent + %s expired − %s owed is not %s granted − %s returned",
			w.name, available, gifts, spent, expired, debt, w.granted, returned)
	}
	if n := w.count(`SELECT count(*) FROM credits.lots WHERE user_id = ANY ($1) AND expires_at <= now() AND remaining > 0`, both); n > 0 {
		w.t.Errorf("%s: %d lots live on after their end", w.name, n)
	}
}

// Whatever happens to credits, in whatever order: what is left and what was
// spent is what was paid and did not go back, nobody has credits whose money
// went back, and nothing outlives its end. A sample of all orders of five, or
// all of them with MANA_SOAK.
func TestMoneyAddsUpInEveryOrder(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	const length, sample, workers = 5, 60, 6
	var orders []int
	total := 1
	for range length {
		total *= len(walkSteps)
	}
	for i := range total {
		orders = append(orders, i)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })

	var mu sync.Mutex
	idle := map[string]bool{} // beginnings whose last step does nothing
	walked := 0
	next := func() (n int, steps []string, ok bool) {
		mu.Lock()
		defer mu.Unlock()
	search:
		for len(orders) > 0 && (walked < sample || os.Getenv("MANA_SOAK") != "") {
			n, orders = orders[0], orders[1:]
			steps = steps[:0]
			for rest := n; len(steps) < length; rest /= len(walkSteps) {
				steps = append(steps, walkSteps[rest%len(walkSteps)])
				if idle[strings.Join(steps, ", ")] || len(steps) == 1 && steps[0] != "purchase" && steps[0] != "plan month" {
					continue search
				}
			}
			walked++
			return n, steps, true
		}
		return 0, nil, false
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for !t.Failed() {
				n, steps, ok := next()
				if !ok {
					return
				}
				w := &walker{counter: c, name: strings.Join(steps, ", "), buyer: c.user(fmt.Sprint("buyer-", n)), friend: c.user(fmt.Sprint("friend-", n))}
				for i, step := range steps {
					if !w.step(step) {
						w.name = strings.Join(steps[:i+1], ", ")
						mu.Lock()
						idle[w.name] = true
						walked--
						mu.Unlock()
						break
					}
				}
				w.check()
			}
		})
	}
	all.Wait()
}
