package purchase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// Drift counts the purchases that were found to differ from Stripe.
type Drift struct {
	// Uncredited were paid but not credited. They are now.
	Uncredited int
	// Unreversed were refunded, disputed or won back without our noticing.
	// They are right now.
	Unreversed int
	// Mismatched were paid with another amount, currency or mode, or twice.
	Mismatched int
	// Unknown payments name a purchase that we do not have.
	Unknown int
	// Unpaid were credited although Stripe knows no payment.
	Unpaid int
}

func (d Drift) kinds() map[string]int {
	return map[string]int{
		"uncredited": d.Uncredited, "unreversed": d.Unreversed, "mismatched": d.Mismatched,
		"unknown": d.Unknown, "unpaid": d.Unpaid,
	}
}

// Reconcile compares the last days of Stripe with our purchases, both ways.
// What is missing on our side is made up in the same way as by an event; the
// rest is only reported, since it needs a human.
func (s *Service) Reconcile(ctx context.Context) (Drift, error) {
	var d Drift
	if s.stripe == nil {
		return d, nil
	}
	ctx, cancel := context.WithTimeout(ctx, settle.ReconcileTimeout)
	defer cancel()
	suspects, err := s.suspects(ctx, s.now().Add(-settle.ReconcileWindow))
	if err != nil {
		return d, err
	}
	var failed []error
	for _, ref := range suspects {
		if err := s.repair(ctx, ref, &d); err != nil {
			failed = append(failed, err)
		}
	}
	for kind, n := range d.kinds() {
		if n > 0 {
			s.log.WarnContext(ctx, "purchases differ from Stripe", "kind", kind, "purchases", n)
		}
		if s.drift != nil {
			s.drift(kind, n)
		}
	}
	return d, errors.Join(failed...)
}

// repair brings one purchase up to date and counts what was wrong.
func (s *Service) repair(ctx context.Context, ref paymentReference, d *Drift) error {
	before, err := s.referencedPurchase(ctx, ref)
	if errors.Is(err, ErrNotFound) {
		if ref.purchaseID != "" {
			s.log.WarnContext(ctx, "a payment names a purchase that is unknown", "payment", ref.intentID, "purchase", ref.purchaseID)
			d.Unknown++
		}
		return nil
	}
	if err != nil {
		return err
	}
	now, err := s.refresh(ctx, ref, nil)
	switch {
	case errors.Is(err, settle.ErrMismatch):
		s.log.WarnContext(ctx, "a payment does not fit its purchase", "purchase", before.ID, "error", err)
		d.Mismatched++
		return nil
	case err != nil:
		return fmt.Errorf("repair purchase %s: %w", before.ID, err)
	case before.Status == Completed && now.Progress != stripeapi.Paid:
		s.log.WarnContext(ctx, "a credited purchase is not paid", "purchase", before.ID)
		d.Unpaid++
		return nil
	}
	after, err := s.findPurchase(ctx, paymentReference{purchaseID: before.ID})
	switch {
	case err != nil:
		return err
	case before.Status != Completed && after.Status == Completed:
		d.Uncredited++
	case before.ReversedCredits != after.ReversedCredits:
		d.Unreversed++
	}
	return nil
}

// suspects are the purchases and payments that may differ, each once.
func (s *Service) suspects(ctx context.Context, since time.Time) ([]paymentReference, error) {
	found, listed, err := s.suspectIntents(ctx, since)
	if err != nil {
		return nil, err
	}
	returned, err := s.stripe.ReversedIntents(ctx, since)
	if err != nil {
		return nil, err
	}
	for _, id := range returned {
		if !listed[id] {
			listed[id] = true
			found = append(found, paymentReference{intentID: id, bare: true})
		}
	}
	ours, err := s.completedSince(ctx, since)
	if err != nil {
		return nil, err
	}
	for _, p := range ours {
		if !listed[p.IntentID] {
			found = append(found, paymentReference{purchaseID: p.ID})
		}
	}
	return found, nil
}

// suspectIntents lists Stripe's payments and returns those that a glance
// cannot clear.
func (s *Service) suspectIntents(ctx context.Context, since time.Time) (found []paymentReference, listed map[string]bool, err error) {
	params := &stripe.PaymentIntentListParams{
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()},
		Expand:       []*string{stripe.String("data.latest_charge")},
	}
	params.Limit = stripe.Int64(100)
	listed = make(map[string]bool)
	for intent, err := range s.stripe.V1PaymentIntents.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, nil, fmt.Errorf("list payment intents: %w", err)
		}
		listed[intent.ID] = true
		ref := paymentReference{intentID: intent.ID, purchaseID: intent.Metadata["purchaseId"]}
		suspect, err := s.suspicious(ctx, ref, intent)
		if err != nil {
			return nil, nil, err
		}
		if suspect {
			found = append(found, ref)
		}
	}
	return found, listed, nil
}

func (s *Service) suspicious(ctx context.Context, ref paymentReference, intent *stripe.PaymentIntent) (bool, error) {
	p, err := s.findPurchase(ctx, ref)
	if errors.Is(err, ErrNotFound) {
		return ref.purchaseID != "", nil
	}
	if err != nil {
		return false, err
	}
	isPaid := intent.Status == stripe.PaymentIntentStatusSucceeded
	if !isPaid || intent.LatestCharge == nil {
		return isPaid != (p.Status == Completed), nil
	}
	charge := intent.LatestCharge
	if p.Status != Completed {
		return s.now().Sub(time.Unix(charge.Created, 0)) > settle.EventDelay, nil
	}
	return charge.Disputed || charge.AmountRefunded != p.ReversedEuroCents || p.IntentID != intent.ID, nil
}

// completedSince are the purchases that were credited lately.
func (s *Service) completedSince(ctx context.Context, since time.Time) ([]purchaseRow, error) {
	return dbscope.List[purchaseRow](ctx, s.db, dbscope.System(), `
		SELECT `+rowColumns+`
		FROM credits.purchases p
		WHERE p.completed_at >= $1`, since)
}
