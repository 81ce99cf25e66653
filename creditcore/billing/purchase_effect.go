package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// purchaseEffect finds the purchase of a trail, asks Stripe how its payment
// stands and makes the effect that moves the purchase and the ledger there. It
// is nil where the trail leads to no purchase of ours. A payment that is not
// the one we asked for is errMismatch: nothing is ever granted for it.
func (s *Service) purchaseEffect(ctx context.Context, t trail) (effect, error) {
	p, now, err := s.purchaseNow(ctx, t)
	if errors.Is(err, ErrPurchaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx pgx.Tx) error { return s.settle(ctx, tx, p, now) }, nil
}

// purchaseNow is a purchase as we have it and then, as of later, its payment
// as Stripe has it.
func (s *Service) purchaseNow(ctx context.Context, t trail) (purchaseRow, payment, error) {
	p, err := s.purchaseOnTrail(ctx, t)
	if err != nil {
		return p, payment{}, err
	}
	now, err := s.paymentOf(ctx, p, t)
	if err == nil {
		err = s.checkPayment(p, now, t)
	}
	return p, now, err
}

// purchaseOnTrail reads the row before Stripe is asked, so that its revision
// guards what follows.
func (s *Service) purchaseOnTrail(ctx context.Context, t trail) (purchaseRow, error) {
	p, err := s.findPurchase(ctx, t)
	if !errors.Is(err, ErrPurchaseNotFound) || !t.blind || t.purchaseID != "" {
		return p, err
	}
	intent, err := s.intentPayment(ctx, t.intentID)
	if err != nil {
		return p, err
	}
	if intent.purchaseID == "" {
		return p, ErrPurchaseNotFound
	}
	t.purchaseID = intent.purchaseID
	return s.findPurchase(ctx, t)
}

// paymentOf asks for the intent where there is one, else for the session.
func (s *Service) paymentOf(ctx context.Context, p purchaseRow, t trail) (payment, error) {
	intentID, sessionID := p.IntentID, p.SessionID
	if intentID == "" {
		intentID = t.intentID
	}
	if sessionID == "" {
		sessionID = t.sessionID
	}
	if sessionID != "" && (intentID == "" || t.sessionID != "") {
		return s.sessionPayment(ctx, sessionID)
	}
	if intentID == "" {
		return payment{}, nil
	}
	return s.intentPayment(ctx, intentID)
}

// checkPayment compares a payment with our own row.
func (s *Service) checkPayment(p purchaseRow, now payment, t trail) error {
	wrong := func(what string, got, want any) error {
		return fmt.Errorf("%w: purchase %s has %s %v, the payment %s has %v", errMismatch, p.ID, what, want, now.intentID, got)
	}
	switch {
	case p.IntentID != "" && t.intentID != "" && t.intentID != p.IntentID:
		return fmt.Errorf("%w: purchase %s is paid by %s, not by %s", errMismatch, p.ID, p.IntentID, t.intentID)
	case p.IntentID != "" && now.intentID != "" && now.intentID != p.IntentID:
		return wrong("payment", now.intentID, p.IntentID)
	case p.IntentID == "" && now.intentID != "" && now.purchaseID != p.ID,
		p.SessionID == "" && now.sessionID != "" && now.purchaseID != p.ID:
		return wrong("id", now.purchaseID, p.ID)
	case now.progress != paid || p.Status == Completed:
		return nil
	case now.livemode != s.cfg.live():
		return wrong("livemode", now.livemode, s.cfg.live())
	case now.currency != currency:
		return wrong("currency", now.currency, currency)
	case now.amount != p.PriceEuroCents:
		return wrong("price", now.amount, p.PriceEuroCents)
	case now.received != p.PriceEuroCents:
		return wrong("price", now.received, p.PriceEuroCents)
	}
	return nil
}
