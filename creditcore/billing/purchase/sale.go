package purchase

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/fingerprint"
)

const (
	kindIntent   = "intent"
	kindCheckout = "checkout"

	// maxKey bounds an idempotency key, in characters.
	maxKey = 255
)

// sale is an order of either kind. Its fields but the key are what the key
// stands for.
type sale struct {
	kind                  string
	packageID             string
	successURL, cancelURL string
	roomID                string
	saveCard              bool
	key                   string
}

// fingerprint is kept with the key. One that saves no card has no more parts than
// before there was a choice.
func (o sale) fingerprint() []byte {
	parts := []string{o.kind, o.packageID, o.successURL, o.cancelURL, o.roomID}
	if o.saveCard {
		parts = append(parts, "save card")
	}
	return fingerprint.Of(parts...)
}

// sell writes a purchase and has ask arrange the payment with Stripe. Under a
// key that was used before it goes on with the purchase of then: concurrent
// twins ask Stripe under the same key and so for the same object. A purchase
// whose payment could not be arranged has failed, and frees the key.
func (s *Service) sell(ctx context.Context, c creditcore.Caller, o sale, ask func(context.Context, purchaseRow) error) error {
	if s.stripe == nil {
		return stripeapi.ErrNotConfigured
	}
	if utf8.RuneCountInString(o.key) > maxKey {
		return fmt.Errorf("%w: the idempotency key is longer than %d characters", creditcore.ErrInvalid, maxKey)
	}
	o.key = keyOf(c, o.key)
	p, err := s.begin(ctx, c, o)
	if err != nil {
		return err
	}
	err = ask(ctx, p)
	if stripeapi.CustomerGone(err) && p.IntentID == "" && p.SessionID == "" {
		if p.CustomerID, err = s.stripe.ReplaceCustomer(ctx, c, p.CustomerID); err == nil {
			err = ask(ctx, p)
		}
	}
	if err != nil && !errors.Is(err, creditcore.ErrUnavailable) {
		s.giveUp(context.WithoutCancel(ctx), p, err)
	}
	return err
}

// keyOf is what a client's idempotency key is kept as. The keys of those who buy
// for one organisation do not meet.
func keyOf(c creditcore.Caller, key string) string {
	if key == "" || c.Organization == "" {
		return key
	}
	return "by:" + hex.EncodeToString(fingerprint.Of(c.UserID, key))
}

// begin finds the purchase of the key or writes a new one.
func (s *Service) begin(ctx context.Context, c creditcore.Caller, o sale) (purchaseRow, error) {
	if o.key != "" {
		if p, err := s.purchaseUnderKey(ctx, c.Account(), o); !errors.Is(err, ErrNotFound) {
			return p, err
		}
	}
	pack, err := s.catalog.PackageForSale(ctx, o.packageID)
	if err != nil {
		return purchaseRow{}, err
	}
	customerID, err := s.stripe.Customer(ctx, c)
	if err != nil {
		return purchaseRow{}, err
	}
	p, err := s.addPurchase(ctx, c, customerID, pack, o)
	if errors.Is(err, ErrNotFound) { // a twin was faster
		return s.purchaseUnderKey(ctx, c.Account(), o)
	}
	if err == nil {
		s.observed("begun")
	}
	return p, err
}

// purchaseUnderKey fails with [ErrNotFound] where the key is new and
// with [creditcore.ErrKeyReused] where it stands for something else.
func (s *Service) purchaseUnderKey(ctx context.Context, userID string, o sale) (purchaseRow, error) {
	p, err := s.purchaseByKey(ctx, userID, o.key)
	if err != nil {
		return p, err
	}
	if string(p.RequestHash) != string(o.fingerprint()) {
		return purchaseRow{}, creditcore.ErrKeyReused
	}
	p.replayed = true
	return p, nil
}

// giveUp marks a purchase whose payment could not be arranged as failed.
func (s *Service) giveUp(ctx context.Context, p purchaseRow, cause error) {
	s.log.WarnContext(ctx, "payment could not be arranged", "purchase", p.ID, "error", cause)
	gave, err := s.abandonPurchase(ctx, p.ID, "payment could not be arranged", s.now())
	if err != nil {
		s.log.ErrorContext(ctx, "mark a purchase as failed", "purchase", p.ID, "error", err)
		return
	}
	if gave {
		s.observed("failed")
	}
}
