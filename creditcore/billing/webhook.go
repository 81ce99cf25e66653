package billing

import (
	"context"
	"fmt"
	"slices"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/topup"
)

// What became of a delivery that no handler has seen; the other outcomes are
// those of package settle.
const (
	outcomeIgnored   = "ignored" // a type we do not act on
	outcomeSignature = "invalid_signature"
	outcomeLivemode  = "wrong_livemode"
	outcomeError     = "error" // Stripe will send it again
)

// handlers is the table of the events we act on.
func (s *Service) handlers() map[stripe.EventType]settle.Handler {
	return map[stripe.EventType]settle.Handler{
		"checkout.session.completed":               s.sessionEvent,
		"checkout.session.async_payment_succeeded": s.SessionEvent,
		"checkout.session.async_payment_failed":    s.SessionEvent,
		"checkout.session.expired":                 s.SessionEvent,

		"payment_intent.processing":     s.IntentEvent,
		"payment_intent.succeeded":      s.IntentEvent,
		"payment_intent.payment_failed": s.IntentEvent,
		"payment_intent.canceled":       s.IntentEvent,

		"charge.refunded":       s.chargeEvent,
		"charge.refund.updated": s.chargeEvent,
		"refund.created":        s.chargeEvent,
		"refund.updated":        s.chargeEvent,
		"refund.failed":         s.chargeEvent,

		"charge.dispute.created":          s.chargeEvent,
		"charge.dispute.updated":          s.chargeEvent,
		"charge.dispute.funds_withdrawn":  s.chargeEvent,
		"charge.dispute.funds_reinstated": s.chargeEvent,
		"charge.dispute.closed":           s.chargeEvent,

		"customer.subscription.created":                s.SubscriptionEvent,
		"customer.subscription.updated":                s.SubscriptionEvent,
		"customer.subscription.deleted":                s.SubscriptionEvent,
		"customer.subscription.paused":                 s.SubscriptionEvent,
		"customer.subscription.resumed":                s.SubscriptionEvent,
		"customer.subscription.pending_update_applied": s.SubscriptionEvent,

		"invoice.created":              s.InvoiceEvent,
		"invoice.updated":              s.InvoiceEvent,
		"invoice.finalized":            s.InvoiceEvent,
		"invoice.paid":                 s.InvoiceEvent,
		"invoice.payment_succeeded":    s.InvoiceEvent,
		"invoice.payment_failed":       s.InvoiceEvent,
		"invoice.voided":               s.InvoiceEvent,
		"invoice.marked_uncollectible": s.InvoiceEvent,
	}
}

// EventTypes are those we act on, in order: what an endpoint at Stripe should
// subscribe to.
func EventTypes() []string {
	var types []string
	for t := range new(Service).handlers() {
		types = append(types, string(t))
	}
	slices.Sort(types)
	return types
}

// sessionEvent handles a checkout session that is complete: one that sells, or one
// that saves a card.
func (s *Service) sessionEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	if topup.SavesCard(event) {
		return s.CardEvent(ctx, event)
	}
	return s.SessionEvent(ctx, event)
}

// chargeEvent handles what happens to a charge, a refund or a dispute: of a
// purchase or of an invoice.
func (s *Service) chargeEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	apply, err := s.ChargeEvent(ctx, event)
	if err != nil || apply != nil {
		return apply, err
	}
	return s.InvoiceChargeEvent(ctx, event)
}

// Webhook takes one delivery of Stripe: the raw body and the Stripe-Signature
// header. It returns nil once the event needs no further delivery, be it
// applied, known, foreign or of a type we do not act on; [ErrSignature] or
// [ErrLivemode] for one that is not for us; and any other error where Stripe
// should try again.
func (s *Service) Webhook(ctx context.Context, payload []byte, signature string) error {
	event, err := s.open(payload, signature)
	if err != nil {
		s.observeWebhook("other", outcomeSignature)
		return err
	}
	label := "other"
	handle, known := s.handlers()[event.Type]
	if known {
		label = string(event.Type)
	}
	if event.Livemode != s.stripe.Live() {
		s.log.WarnContext(ctx, "Stripe event of the other mode", "event", event.ID, "type", label, "livemode", event.Livemode)
		s.observeWebhook(label, outcomeLivemode)
		return ErrLivemode
	}
	if !known {
		s.observeWebhook(label, outcomeIgnored)
		return nil
	}
	outcome, err := s.events.Apply(ctx, event, handle)
	if err != nil {
		s.log.ErrorContext(ctx, "Stripe event failed", "event", event.ID, "type", label, "error", err)
		outcome = outcomeError
	}
	s.observeWebhook(label, string(outcome))
	return err
}

// open verifies and reads an event.
func (s *Service) open(payload []byte, signature string) (stripe.Event, error) {
	if s.stripe == nil {
		return stripe.Event{}, ErrSignature
	}
	event, err := verified(payload, signature, s.secrets, s.now())
	if err == nil && (event.ID == "" || !settle.Storable(event.ID) || event.Data == nil) {
		err = fmt.Errorf("%w: not an event", ErrSignature)
	}
	return event, err
}

func (s *Service) observeWebhook(eventType, outcome string) {
	if s.observe != nil {
		s.observe(eventType, outcome)
	}
}
