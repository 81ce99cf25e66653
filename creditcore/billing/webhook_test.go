package billing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/internal/stripetest"
)

// fate is what happened to a payment, and what is left of its credits then.
type fate struct {
	name   string
	happen func(s *stripetest.Server, id string) stripetest.Events
	left   int64
}

// fates are of a purchase of 1000 credits for 999 cents.
var fates = []fate{
	{"failed, then paid", func(s *stripetest.Server, id string) stripetest.Events {
		return slices.Concat(s.FailCard(id), s.Pay(id))
	}, 1000},
	{"refunded in two parts", func(s *stripetest.Server, id string) stripetest.Events {
		return slices.Concat(s.Pay(id), s.Refund(id, 300), s.Refund(id, 200))
	}, 500},
	{"refunded in full", func(s *stripetest.Server, id string) stripetest.Events {
		return slices.Concat(s.FailCard(id), s.Pay(id), s.Refund(id, 0))
	}, 0},
	{"dispute lost", func(s *stripetest.Server, id string) stripetest.Events {
		return slices.Concat(s.Pay(id), s.Dispute(id, 0), s.LoseDispute(id))
	}, 0},
	{"dispute won", func(s *stripetest.Server, id string) stripetest.Events {
		return slices.Concat(s.Pay(id), s.Dispute(id, 0), s.WinDispute(id))
	}, 1000},
	{"refunded in part, dispute of the rest lost", func(s *stripetest.Server, id string) stripetest.Events {
		return slices.Concat(s.Pay(id), s.Refund(id, 333), s.Dispute(id, 666), s.LoseDispute(id))
	}, 0},
	{"refunded in part, dispute of the rest won", func(s *stripetest.Server, id string) stripetest.Events {
		return slices.Concat(s.Pay(id), s.Refund(id, 333), s.Dispute(id, 666), s.WinDispute(id))
	}, 667},
}

// relevant drops the events we do not act on, so that permutations stay few.
func relevant(events stripetest.Events) stripetest.Events {
	known := billing.EventTypes()
	return slices.DeleteFunc(events, func(e stripetest.Event) bool { return !slices.Contains(known, e.Type) })
}

// orders calls f with the orders of n things: with all where there are at most
// limit, else with as many that chance picks.
func orders(n, limit int, r *rand.Rand, f func([]int)) {
	order, total := make([]int, n), 1
	for i := range order {
		order[i] = i
		total *= i + 1
	}
	if total > limit {
		for range limit {
			f(r.Perm(n))
		}
		return
	}
	var permute func(k int)
	permute = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			permute(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	permute(0)
}

// Whatever order the events of a purchase come in, and however often, the
// balance ends the same.
func TestOrderOfPurchaseEvents(t *testing.T) {
	t.Parallel()
	for _, l := range fates {
		for _, kind := range []string{"intent", "link"} {
			t.Run(l.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				s := newTill(t)
				r := rand.New(rand.NewPCG(1, 2))
				users := 0
				probe := func() (user, purchaseID string, events stripetest.Events) {
					users++
					user = fmt.Sprintf("user-%d", users)
					var id string
					if kind == "intent" {
						purchaseID, id = s.buy(s.user(user))
					} else {
						purchaseID, id = s.link(s.user(user))
					}
					return user, purchaseID, relevant(l.happen(s.stripe, id))
				}
				_, _, sample := probe()
				orders(len(sample), 24, r, func(order []int) {
					user, purchaseID, events := probe()
					for i, at := range order {
						s.deliver(events[at])
						if i%2 == 0 {
							s.deliver(events[at])
						}
					}
					s.wantStatus(purchaseID, purchase.Completed)
					s.wantBalance(user, l.left)
				})
			})
		}
	}
}

// Events that arrive while the payment still moves, late, twice or never: as
// long as the last one arrives, the end is the same.
func TestEventsInterleaved(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		user := fmt.Sprintf("user-%d", seed)
		purchaseID, id := s.buy(s.user(user))
		var waiting stripetest.Events
		left := int64(packCredits)
		happened := []func(){
			func() { waiting = append(waiting, s.stripe.FailCard(id)...) },
			func() { waiting = append(waiting, s.stripe.Pay(id)...) },
			func() { waiting = append(waiting, s.stripe.Refund(id, 111)...) },
			func() { waiting = append(waiting, s.stripe.Dispute(id, 888)...) },
			func() {
				if seed%2 == 0 {
					left = 889
					waiting = append(waiting, s.stripe.WinDispute(id)...)
				} else {
					left = 0
					waiting = append(waiting, s.stripe.LoseDispute(id)...)
				}
			},
		}
		for len(happened) > 0 || len(waiting) > 0 {
			if len(waiting) == 0 || len(happened) > 0 && r.IntN(3) == 0 {
				happened[0]()
				happened = happened[1:]
				continue
			}
			i := r.IntN(len(waiting))
			s.deliver(waiting[i])
			if r.IntN(3) > 0 {
				waiting = slices.Delete(waiting, i, i+1)
			}
		}
		s.wantStatus(purchaseID, purchase.Completed)
		s.wantBalance(user, left)
	}
}

// Parallel deliveries of one event, and of different ones, credit once.
func TestParallelDeliveries(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	for round := range 5 {
		user := fmt.Sprintf("user-%d", round)
		purchaseID, sessionID := s.link(s.user(user))
		events := relevant(s.stripe.Pay(sessionID))
		if round%2 == 1 {
			events = append(events, relevant(s.stripe.Refund(sessionID, 333))...)
		}
		var all sync.WaitGroup
		for range 6 {
			for _, e := range events {
				all.Go(func() {
					payload, signature := s.stripe.Payload(e)
					if err := s.hook(payload, signature); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		s.wantStatus(purchaseID, purchase.Completed)
		s.wantBalance(user, []int64{1000, 667}[round%2])
	}
}

// What was spent cannot be taken back: it is owed, and what the buyer pays for
// later goes into it.
func TestShortfall(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice := s.user("alice")
	_, intentID := s.buy(alice)
	s.deliver(s.stripe.Pay(intentID)...)
	_, err := s.ledger.Debit(t.Context(), creditcore.Debit{UserID: "alice", Amount: creditcore.Credits(900), AppID: "chat"})
	if err != nil {
		t.Fatal(err)
	}
	s.deliver(s.stripe.Dispute(intentID, 0)...)
	s.wantBalance("alice", 0)
	debt := func() int64 { return s.count(`SELECT debt / 1000 FROM credits.balances WHERE user_id = 'alice'`) }
	if debt() != 900 || s.told("purchase shortfall") != 1 {
		t.Errorf("debt %d, observed %v", debt(), s.seen)
	}
	_, another := s.buy(alice)
	s.deliver(s.stripe.Pay(another)...)
	s.wantBalance("alice", 100)
	s.deliver(s.stripe.WinDispute(intentID)...)
	s.wantBalance("alice", 1100) // what was taken comes back, and what was paid
	if debt() != 0 {
		t.Errorf("debt %d", debt())
	}
}

// A refund that fails after all gives the credits back.
func TestFailedRefund(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	_, intentID := s.buy(s.user("alice"))
	s.deliver(s.stripe.Pay(intentID)...)
	refunded := s.stripe.Refund(intentID, 0)
	s.deliver(refunded...)
	s.wantBalance("alice", 0)
	s.deliver(s.stripe.FailRefund(refunded.Object("refund"))...)
	s.wantBalance("alice", 1000)
}

// An inquiry takes no money, so it takes no credits.
func TestInquiry(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	_, intentID := s.buy(s.user("alice"))
	s.deliver(s.stripe.Pay(intentID)...)
	s.deliver(s.stripe.Inquire(intentID, 0)...)
	s.wantBalance("alice", 1000)
	s.deliver(s.stripe.CloseInquiry(intentID)...)
	s.wantBalance("alice", 1000)
}

// A direct debit stays pending for days, and may fail.
func TestAsyncPayment(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	for user, c := range map[string]struct {
		settle func(string) stripetest.Events
		status purchase.Status
		left   int64
	}{
		"alice": {s.stripe.AsyncSucceed, purchase.Completed, 1000},
		"bob":   {s.stripe.AsyncFail, purchase.Failed, 0},
	} {
		purchaseID, sessionID := s.link(s.user(user))
		s.deliver(s.stripe.PayAsync(sessionID)...)
		s.wantStatus(purchaseID, purchase.Pending)
		s.wantBalance(user, 0)
		s.deliver(c.settle(sessionID)...)
		s.wantStatus(purchaseID, c.status)
		s.wantBalance(user, c.left)
	}
}

// A link that ran out fails its purchase.
func TestExpiredSession(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, sessionID := s.link(s.user("alice"))
	s.deliver(s.stripe.ExpireSession(sessionID)...)
	s.wantStatus(purchaseID, purchase.Failed)
	if got := s.text(`SELECT metadata ->> 'failureReason' FROM credits.purchases WHERE id = $1`, purchaseID); got != "expired" {
		t.Errorf("reason %q", got)
	}
}

// A refused card fails the purchase; the next try of the same payment
// completes it.
func TestFailedThenPaid(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, intentID := s.buy(s.user("alice"))
	s.deliver(s.stripe.FailCard(intentID)...)
	s.wantStatus(purchaseID, purchase.Failed)
	if s.text(`SELECT metadata ->> 'failureReason' FROM credits.purchases WHERE id = $1`, purchaseID) == "" ||
		s.text(`SELECT metadata ->> 'failedAt' FROM credits.purchases WHERE id = $1`, purchaseID) == "" {
		t.Error("no reason")
	}
	s.deliver(s.stripe.Pay(intentID)...)
	s.wantStatus(purchaseID, purchase.Completed)
	s.wantBalance("alice", 1000)
}

// While Stripe is away nothing is lost: the event fails and is taken later.
func TestEventWhileStripeIsAway(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	purchaseID, intentID := s.buy(s.user("alice"))
	events := relevant(s.stripe.Pay(intentID))
	away := billing.New(billing.Config{
		SecretKey: s.stripe.Key, APIURL: "http://127.0.0.1:1", WebhookSecrets: []string{s.stripe.WebhookSecret},
	}, billing.Deps{Pool: s.db.Pool, Ledger: s.ledger, Now: s.stripe.Now})
	for _, e := range events {
		payload, signature := s.stripe.Payload(e)
		if err := away.Webhook(t.Context(), payload, signature); err == nil {
			t.Errorf("%s was taken", e.Type)
		}
	}
	s.wantStatus(purchaseID, purchase.Pending)
	s.deliver(events...)
	s.wantBalance("alice", 1000)
}
