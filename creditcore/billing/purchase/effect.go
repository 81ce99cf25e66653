package purchase

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// effect finds the purchase of a payment reference, asks Stripe how its payment
// stands and makes the effect that moves the purchase and the ledger there. It
// is nil where the reference leads to no purchase of ours. A payment that is not
// the one we asked for is ErrMismatch: nothing is ever granted for it.
func (s *Service) effect(ctx context.Context, ref paymentReference) (settle.Effect, error) {
	p, now, err := s.purchaseNow(ctx, ref)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx pgx.Tx) error { return s.settle(ctx, tx, p, now) }, nil
}

// purchaseNow is a purchase as we have it and then, as of later, its payment
// as Stripe has it.
func (s *Service) purchaseNow(ctx context.Context, ref paymentReference) (purchaseRow, stripeapi.Payment, error) {
	p, err := s.referencedPurchase(ctx, ref)
	if err != nil {
		return p, stripeapi.Payment{}, err
	}
	now, err := s.paymentOf(ctx, p, ref)
	if err == nil {
		err = s.checkPayment(p, now, ref)
	}
	if err == nil && now.Kept != nil {
		err = s.checkCard(ctx, p, &now)
	}
	return p, now, err
}

// referencedPurchase reads the row before Stripe is asked, so that its revision
// guards what follows.
func (s *Service) referencedPurchase(ctx context.Context, ref paymentReference) (purchaseRow, error) {
	p, err := s.findPurchase(ctx, ref)
	if !errors.Is(err, ErrNotFound) || !ref.bare || ref.purchaseID != "" {
		return p, err
	}
	intent, err := s.stripe.IntentPayment(ctx, ref.intentID)
	if err != nil {
		return p, err
	}
	if intent.PurchaseID == "" {
		return p, ErrNotFound
	}
	ref.purchaseID = intent.PurchaseID
	return s.findPurchase(ctx, ref)
}

// paymentOf asks for the intent where there is one, else for the session.
func (s *Service) paymentOf(ctx context.Context, p purchaseRow, ref paymentReference) (stripeapi.Payment, error) {
	intentID, sessionID := p.IntentID, p.SessionID
	if intentID == "" {
		intentID = ref.intentID
	}
	if sessionID == "" {
		sessionID = ref.sessionID
	}
	var expand []string
	if p.SaveCard {
		expand = append(expand, stripeapi.MethodDetails)
	}
	if sessionID != "" && (intentID == "" || ref.sessionID != "") {
		return s.stripe.SessionPayment(ctx, sessionID, expand...)
	}
	if intentID == "" {
		return stripeapi.Payment{}, nil
	}
	return s.stripe.IntentPayment(ctx, intentID, expand...)
}

// checkPayment compares a payment with our own row.
func (s *Service) checkPayment(p purchaseRow, now stripeapi.Payment, ref paymentReference) error {
	wrong := func(what string, got, want any) error {
		return fmt.Errorf("%w: purchase %s has %s %v, the payment %s has %v", settle.ErrMismatch, p.ID, what, want, now.IntentID, got)
	}
	switch {
	case p.IntentID != "" && ref.intentID != "" && ref.intentID != p.IntentID:
		return fmt.Errorf("%w: purchase %s is paid by %s, not by %s", settle.ErrMismatch, p.ID, p.IntentID, ref.intentID)
	case p.IntentID != "" && now.IntentID != "" && now.IntentID != p.IntentID:
		return wrong("payment", now.IntentID, p.IntentID)
	case p.IntentID == "" && now.IntentID != "" && now.PurchaseID != p.ID,
		p.SessionID == "" && now.SessionID != "" && now.PurchaseID != p.ID:
		return wrong("id", now.PurchaseID, p.ID)
	case now.Progress != stripeapi.Paid || p.Status == Completed:
		return nil
	case now.Livemode != s.stripe.Live():
		return wrong("livemode", now.Livemode, s.stripe.Live())
	case now.Currency != catalog.Currency:
		return wrong("currency", now.Currency, catalog.Currency)
	case now.Amount != p.PriceEuroCents:
		return wrong("price", now.Amount, p.PriceEuroCents)
	case now.Received != p.PriceEuroCents:
		return wrong("price", now.Received, p.PriceEuroCents)
	}
	return nil
}
