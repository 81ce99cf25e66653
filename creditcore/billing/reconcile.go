package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/dbscope"
)

const (
	// reconcileWindow is how far back Stripe and we are compared.
	reconcileWindow = 7 * 24 * time.Hour
	// settling is how long events are given to arrive before a difference
	// counts.
	settling = 5 * time.Minute
	// reconcileWait bounds one reconciliation.
	reconcileWait = 10 * time.Minute
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
	ctx, cancel := context.WithTimeout(ctx, reconcileWait)
	defer cancel()
	suspects, err := s.suspects(ctx, s.now().Add(-reconcileWindow))
	if err != nil {
		return d, err
	}
	var faults []error
	for _, t := range suspects {
		if err := s.repair(ctx, t, &d); err != nil {
			faults = append(faults, err)
		}
	}
	for kind, n := range d.kinds() {
		if n > 0 {
			s.log.WarnContext(ctx, "purchases differ from Stripe", "kind", kind, "purchases", n)
		}
		if s.observe.Drift != nil {
			s.observe.Drift(kind, n)
		}
	}
	return d, errors.Join(faults...)
}

// repair brings one purchase up to date and counts what was wrong.
func (s *Service) repair(ctx context.Context, t trail, d *Drift) error {
	before, err := s.purchaseOnTrail(ctx, t)
	if errors.Is(err, ErrPurchaseNotFound) {
		if t.purchaseID != "" {
			s.log.WarnContext(ctx, "a payment names a purchase that is unknown", "payment", t.intentID, "purchase", t.purchaseID)
			d.Unknown++
		}
		return nil
	}
	if err != nil {
		return err
	}
	now, err := s.refresh(ctx, t, nil)
	switch {
	case errors.Is(err, errMismatch):
		s.log.WarnContext(ctx, "a payment does not fit its purchase", "purchase", before.ID, "error", err)
		d.Mismatched++
		return nil
	case err != nil:
		return fmt.Errorf("repair purchase %s: %w", before.ID, err)
	case before.Status == Completed && now.progress != paid:
		s.log.WarnContext(ctx, "a credited purchase is not paid", "purchase", before.ID)
		d.Unpaid++
		return nil
	}
	after, err := s.findPurchase(ctx, trail{purchaseID: before.ID})
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
func (s *Service) suspects(ctx context.Context, since time.Time) ([]trail, error) {
	found, listed, err := s.suspectIntents(ctx, since)
	if err != nil {
		return nil, err
	}
	returned, err := s.returnedIntents(ctx, since)
	if err != nil {
		return nil, err
	}
	for _, id := range returned {
		if !listed[id] {
			listed[id] = true
			found = append(found, trail{intentID: id, blind: true})
		}
	}
	ours, err := s.completedSince(ctx, since)
	if err != nil {
		return nil, err
	}
	for _, p := range ours {
		if !listed[p.IntentID] {
			found = append(found, trail{purchaseID: p.ID})
		}
	}
	return found, nil
}

// suspectIntents lists Stripe's payments and returns those that a glance
// cannot clear.
func (s *Service) suspectIntents(ctx context.Context, since time.Time) (found []trail, listed map[string]bool, err error) {
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
		t := trail{intentID: intent.ID, purchaseID: intent.Metadata["purchaseId"]}
		suspect, err := s.suspicious(ctx, t, intent)
		if err != nil {
			return nil, nil, err
		}
		if suspect {
			found = append(found, t)
		}
	}
	return found, listed, nil
}

func (s *Service) suspicious(ctx context.Context, t trail, intent *stripe.PaymentIntent) (bool, error) {
	p, err := s.findPurchase(ctx, t)
	if errors.Is(err, ErrPurchaseNotFound) {
		return t.purchaseID != "", nil
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
		return s.now().Sub(time.Unix(charge.Created, 0)) > settling, nil
	}
	return charge.Disputed || charge.AmountRefunded != p.ReversedEuroCents || p.IntentID != intent.ID, nil
}

// returnedIntents are the payments that were refunded or disputed lately,
// however old they are.
func (s *Service) returnedIntents(ctx context.Context, since time.Time) ([]string, error) {
	var ids []string
	created := &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}
	refunds := &stripe.RefundListParams{CreatedRange: created}
	refunds.Limit = stripe.Int64(100)
	for refund, err := range s.stripe.V1Refunds.List(ctx, refunds).All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list refunds: %w", err)
		}
		if refund.PaymentIntent != nil {
			ids = append(ids, refund.PaymentIntent.ID)
		}
	}
	disputes := &stripe.DisputeListParams{CreatedRange: created}
	disputes.Limit = stripe.Int64(100)
	for dispute, err := range s.stripe.V1Disputes.List(ctx, disputes).All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list disputes: %w", err)
		}
		if dispute.PaymentIntent != nil {
			ids = append(ids, dispute.PaymentIntent.ID)
		}
	}
	return ids, nil
}

// completedSince are the purchases that were credited lately.
func (s *Service) completedSince(ctx context.Context, since time.Time) ([]purchaseRow, error) {
	return dbscope.List[purchaseRow](ctx, s.db, system(), `
		SELECT `+rowColumns+`
		FROM credits.purchases p
		WHERE p.completed_at >= $1`, since)
}
