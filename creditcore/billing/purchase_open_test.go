package billing_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/purchase"
)

// A user has ten purchases open, of either kind, however many are begun at
// once; those that are paid, and those of an hour ago, do not count.
func TestOpenPurchasesAreBounded(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	alice, bob := s.user("alice"), s.user("bob")
	begin := func(c creditcore.Caller, i int, key string) (err error) {
		if i%2 == 0 {
			_, err = s.Buy(t.Context(), c, purchase.Order{PackageID: packageID, Key: key})
		} else {
			_, err = s.PaymentLink(t.Context(), c, purchase.LinkOrder{PackageID: packageID, Key: key})
		}
		return err
	}
	if err := begin(alice, 0, "first"); err != nil {
		t.Fatal(err)
	}
	var begun, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			key := ""
			if i%3 == 0 {
				key = fmt.Sprint("key-", i)
			}
			var open *purchase.OpenPurchasesError
			switch err := begin(alice, i, key); {
			case err == nil:
				begun.Add(1)
			case errors.As(err, &open) && open.RetryAfter > 0 && open.RetryAfter <= time.Hour:
				refused.Add(1)
			default:
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	if begun.Load() != 9 || refused.Load() != 15 || s.count(`SELECT count(*) FROM credits.purchases WHERE user_id = 'alice'`) != 10 {
		t.Errorf("%d more were begun, %d refused", begun.Load(), refused.Load())
	}
	if made, err := s.Buy(t.Context(), alice, purchase.Order{PackageID: packageID, Key: "first"}); err != nil || !made.Replayed {
		t.Errorf("a repetition opens nothing: %+v, %v", made, err)
	}
	if err := begin(bob, 0, ""); err != nil {
		t.Errorf("another user: %v", err)
	}
	s.deliver(s.stripe.Pay(s.text(`SELECT stripe_payment_intent_id FROM credits.purchases WHERE idempotency_key = 'first'`))...)
	if err := begin(alice, 1, ""); err != nil {
		t.Errorf("in place of one that was paid: %v", err)
	}
	if err := begin(alice, 0, ""); err == nil {
		t.Error("an eleventh was begun")
	}
	s.stripe.Advance(time.Hour)
	if err := begin(alice, 0, ""); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}
