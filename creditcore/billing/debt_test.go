package billing_test

import (
	"context"
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

// counter is a till beside which gifts are made.
type counter struct {
	*till
	gifts *gift.Service
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{till: newTill(t)}
	c.gifts = gift.New(gift.Config{BaseURL: "https://auth.mana.how", RiddleCost: 4}, gift.Deps{Pool: c.db.Pool, Ledger: c.ledger})
	t.Cleanup(func() {
		if breaches, err := c.gifts.Audit(context.Background()); !t.Failed() && (err != nil || len(breaches) > 0) {
			t.Errorf("the gifts: %+v, %v", breaches, err)
		}
	})
	return c
}

// bought is a purchase of 1000 credits that was paid for.
func (c *counter) bought(who creditcore.Caller) (intentID string) {
	c.t.Helper()
	_, intentID = c.buy(who)
	c.deliver(c.stripe.Pay(intentID)...)
	return intentID
}

func (c *counter) give(who creditcore.Caller, credits int64, portions int) gift.Made {
	c.t.Helper()
	made, err := c.gifts.Create(c.t.Context(), who, gift.Order{Credits: creditcore.Credits(credits), Portions: portions, Type: gift.Simple})
	if err != nil {
		c.t.Fatal(err)
	}
	return made
}

func (c *counter) redeem(who creditcore.Caller, made gift.Made) {
	c.t.Helper()
	if _, err := c.gifts.Redeem(c.t.Context(), who, gift.Claim{Code: string(made.Code)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *counter) spend(who creditcore.Caller, credits int64) creditcore.Receipt {
	c.t.Helper()
	r, err := c.ledger.Debit(c.t.Context(), creditcore.Debit{UserID: who.UserID, Amount: creditcore.Credits(credits), AppID: "app"})
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// want is what a user has and owes, in credits.
func (c *counter) want(who creditcore.Caller, available, debt int64) {
	c.t.Helper()
	b, err := c.ledger.BalanceOf(c.t.Context(), who.UserID)
	if err != nil || b.Available != creditcore.Credits(available) || b.Debt != creditcore.Credits(debt) {
		c.t.Errorf("%s has %s and owes %s, want %d and %d (%v)", who.UserID, b.Available, b.Debt, available, debt, err)
	}
}

// Whoever puts credits into a gift, takes the money back and cancels the gift
// has nothing of them.
func TestGiftOfReversedPurchase(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	alice := c.user("alice")
	intent := c.bought(alice)
	made := c.give(alice, 1000, 1)
	lost := c.stripe.Dispute(intent, 0)
	c.deliver(lost...)
	c.want(alice, 0, 0)
	if _, err := c.gifts.Cancel(t.Context(), alice, made.ID); err == nil {
		t.Error("the gift was open still")
	}
	c.want(alice, 0, 0)
	c.deliver(c.stripe.WinDispute(intent)...)
	c.want(alice, 1000, 0)
}

// Every credit that comes in pays what is owed first, from wherever it comes.
func TestDebtIsPaidByWhatComesIn(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]func(c *counter, alice creditcore.Caller, charge creditcore.Receipt){
		"a refund": func(c *counter, alice creditcore.Caller, charge creditcore.Receipt) {
			if _, err := c.ledger.Refund(c.t.Context(), creditcore.Refund{UserID: "alice", Amount: creditcore.Credits(300), EntryID: charge.Entry.ID}); err != nil {
				c.t.Fatal(err)
			}
		},
		"a grant": func(c *counter, alice creditcore.Caller, _ creditcore.Receipt) {
			_, err := c.ledger.Grant(c.t.Context(), creditcore.Grant{UserID: "alice", Amount: creditcore.Credits(300), Type: creditcore.Gift, Source: creditcore.SourceAdmin})
			if err != nil {
				c.t.Fatal(err)
			}
		},
		"another's gift": func(c *counter, alice creditcore.Caller, _ creditcore.Receipt) {
			bob := c.user("bob")
			c.bought(bob)
			c.redeem(alice, c.give(bob, 300, 1))
		},
		"forgiveness": func(c *counter, alice creditcore.Caller, _ creditcore.Receipt) {
			if n, b, err := c.ledger.Forgive(c.t.Context(), creditcore.Forgiveness{
				UserID: "alice", Amount: creditcore.Credits(300), Reason: "goodwill", By: "ada",
			}); err != nil || n != creditcore.Credits(300) || b.Debt != creditcore.Credits(700) {
				c.t.Errorf("forgave %s: %+v, %v", n, b, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCounter(t)
			alice := c.user("alice")
			intent := c.bought(alice)
			charge := c.spend(alice, 1000)
			lost := c.stripe.Dispute(intent, 0)
			c.deliver(lost...)
			c.want(alice, 0, 1000)
			in(c, alice, charge)
			c.want(alice, 0, 700)
			c.bought(alice) // pays the rest
			c.want(alice, 300, 0)
			c.deliver(c.stripe.WinDispute(intent)...)
			if name == "forgiveness" {
				c.want(alice, 1000, 0)
			} else {
				c.want(alice, 1300, 0)
			}
		})
	}
}

// What holds reserve is owed until they are released, and paid then.
func TestDebtIsPaidByReleasedHolds(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	alice := c.user("alice")
	intent := c.bought(alice)
	released, err := c.ledger.Hold(t.Context(), creditcore.Hold{UserID: "alice", Amount: creditcore.Credits(600)})
	if err != nil {
		t.Fatal(err)
	}
	settled, err := c.ledger.Hold(t.Context(), creditcore.Hold{UserID: "alice", Amount: creditcore.Credits(400)})
	if err != nil {
		t.Fatal(err)
	}
	c.deliver(c.stripe.Refund(intent, 0)...)
	c.want(alice, 0, 1000)
	if _, err := c.ledger.Release(t.Context(), released.ID); err != nil {
		t.Fatal(err)
	}
	c.want(alice, 0, 400)
	if _, err := c.ledger.Settle(t.Context(), settled.ID, creditcore.Credits(100), nil); err != nil {
		t.Fatal(err)
	}
	c.want(alice, 0, 100)
}

// Gifts of reversed credits are followed down the chain: who has them loses
// them, what was spent is owed by the buyer, and a won dispute gives each theirs
// again.
func TestRedeemedGiftsAreFollowed(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	alice, bob, carol, dave := c.user("alice"), c.user("bob"), c.user("carol"), c.user("dave")
	intent := c.bought(alice)
	c.redeem(bob, c.give(alice, 900, 1))
	c.spend(bob, 100)
	c.redeem(carol, c.give(bob, 500, 1))
	open := c.give(carol, 200, 2)
	c.redeem(dave, open)
	c.bought(carol)
	c.spend(carol, 50) // the bought credits and those of the gift are alike: the older go first
	lost := c.stripe.Dispute(intent, 0)
	c.deliver(lost...)
	c.want(alice, 0, 150)
	c.want(bob, 0, 0)
	c.want(carol, 1000, 0)
	c.want(dave, 0, 0)
	c.deliver(c.stripe.WinDispute(intent)...)
	c.want(alice, 100, 0)
	c.want(bob, 300, 0)
	c.want(carol, 1350, 0)
	c.want(dave, 100, 0)
}

// After thirty days a redeemed gift is left to its redeemer.
func TestOldGiftsAreNotFollowed(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	alice, bob := c.user("alice"), c.user("bob")
	intent := c.bought(alice)
	c.redeem(bob, c.give(alice, 900, 1))
	c.exec(`UPDATE credits.purchases SET completed_at = completed_at - interval '31 days'`)
	c.deliver(c.stripe.Refund(intent, 0)...)
	c.want(bob, 900, 0)
	c.want(alice, 0, 900)
}

// A hold at somebody who has reversed credits is theirs to give back.
func TestFollowedCreditsThatAreHeld(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	alice, bob := c.user("alice"), c.user("bob")
	intent := c.bought(alice)
	c.redeem(bob, c.give(alice, 1000, 1))
	h, err := c.ledger.Hold(t.Context(), creditcore.Hold{UserID: "bob", Amount: creditcore.Credits(400)})
	if err != nil {
		t.Fatal(err)
	}
	c.deliver(c.stripe.Refund(intent, 0)...)
	c.want(bob, 0, 400)
	c.want(alice, 0, 0)
	if _, err := c.ledger.Release(t.Context(), h.ID); err != nil {
		t.Fatal(err)
	}
	c.want(bob, 0, 0)
}
