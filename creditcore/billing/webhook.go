package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
)

// attempts is how often an effect is made anew when rows move under it.
const attempts = 8

// What became of an event.
const (
	outcomeApplied   = "applied"
	outcomeDuplicate = "duplicate"
	outcomeForeign   = "foreign" // of no purchase, customer or plan of ours
	outcomeIgnored   = "ignored" // a type we do not act on
	outcomeRefused   = "refused" // it can never be applied, see the log
	outcomeSignature = "invalid_signature"
	outcomeLivemode  = "wrong_livemode"
	outcomeError     = "error" // Stripe will send it again
)

// maker makes the effect of an event. It may ask Stripe. A nil effect means
// that the event concerns nothing of ours.
type maker func(context.Context, stripe.Event) (effect, error)

// makers is the table of the events we act on.
func (s *Service) makers() map[stripe.EventType]maker {
	return map[stripe.EventType]maker{
		"checkout.session.completed":               s.sessionEffect,
		"checkout.session.async_payment_succeeded": s.sessionEffect,
		"checkout.session.async_payment_failed":    s.sessionEffect,
		"checkout.session.expired":                 s.sessionEffect,

		"payment_intent.processing":     s.intentEffect,
		"payment_intent.succeeded":      s.intentEffect,
		"payment_intent.payment_failed": s.intentEffect,
		"payment_intent.canceled":       s.intentEffect,

		"charge.refunded":       s.chargeEffect,
		"charge.refund.updated": s.chargeEffect,
		"refund.created":        s.chargeEffect,
		"refund.updated":        s.chargeEffect,
		"refund.failed":         s.chargeEffect,

		"charge.dispute.created":          s.chargeEffect,
		"charge.dispute.updated":          s.chargeEffect,
		"charge.dispute.funds_withdrawn":  s.chargeEffect,
		"charge.dispute.funds_reinstated": s.chargeEffect,
		"charge.dispute.closed":           s.chargeEffect,

		"customer.subscription.created":                s.subscriptionEffect,
		"customer.subscription.updated":                s.subscriptionEffect,
		"customer.subscription.deleted":                s.subscriptionEffect,
		"customer.subscription.paused":                 s.subscriptionEffect,
		"customer.subscription.resumed":                s.subscriptionEffect,
		"customer.subscription.pending_update_applied": s.subscriptionEffect,

		"invoice.created":              s.invoiceEffect,
		"invoice.updated":              s.invoiceEffect,
		"invoice.finalized":            s.invoiceEffect,
		"invoice.paid":                 s.invoiceEffect,
		"invoice.payment_succeeded":    s.invoiceEffect,
		"invoice.payment_failed":       s.invoiceEffect,
		"invoice.voided":               s.invoiceEffect,
		"invoice.marked_uncollectible": s.invoiceEffect,
	}
}

// EventTypes are those we act on, in order: what an endpoint at Stripe should
// subscribe to.
func EventTypes() []string {
	var types []string
	for t := range (*Service)(nil).makers() {
		types = append(types, string(t))
	}
	slices.Sort(types)
	return types
}

// Webhook takes one delivery of Stripe: the raw body and the Stripe-Signature
// header. It returns nil once the event needs no further delivery, be it
// applied, known, foreign or of a type we do not act on; [ErrSignature] or
// [ErrLivemode] for one that is not for us; and any other error where Stripe
// should try again.
func (s *Service) Webhook(ctx context.Context, payload []byte, signature string) error {
	event, err := s.open(payload, signature)
	if err != nil {
		s.sawWebhook("other", outcomeSignature)
		return err
	}
	label := "other"
	makes, known := s.makers()[event.Type]
	if known {
		label = string(event.Type)
	}
	if event.Livemode != s.cfg.live() {
		s.log.WarnContext(ctx, "Stripe event of the other mode", "event", event.ID, "type", label, "livemode", event.Livemode)
		s.sawWebhook(label, outcomeLivemode)
		return ErrLivemode
	}
	outcome, err := s.take(ctx, event, makes)
	if err != nil {
		s.log.ErrorContext(ctx, "Stripe event failed", "event", event.ID, "type", label, "error", err)
		outcome = outcomeError
	}
	s.sawWebhook(label, outcome)
	return err
}

// open verifies and reads an event.
func (s *Service) open(payload []byte, signature string) (stripe.Event, error) {
	var event stripe.Event
	if s.stripe == nil || !verified(payload, signature, s.cfg.WebhookSecrets, s.now()) {
		return event, ErrSignature
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return event, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if event.Object != "event" || event.ID == "" || !storable(event.ID) || event.Data == nil {
		return event, fmt.Errorf("%w: not an event", ErrSignature)
	}
	return event, nil
}

// take applies an event once.
func (s *Service) take(ctx context.Context, event stripe.Event, makes maker) (string, error) {
	if makes == nil {
		return outcomeIgnored, nil
	}
	if known, err := s.eventKnown(ctx, event.ID); err != nil || known {
		return outcomeDuplicate, err
	}
	for range attempts {
		outcome, err := s.try(ctx, event, makes)
		switch {
		case errors.Is(err, errStale):
			continue
		case errors.Is(err, creditcore.ErrUnavailable):
			return "", err
		case permanent(err):
			s.log.ErrorContext(ctx, "Stripe event can never be applied", "event", event.ID, "type", event.Type, "error", err)
			if errors.Is(err, errMismatch) {
				s.sawPurchase("mismatch")
			}
			return outcomeRefused, s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
				_, err := recordEvent(ctx, tx, event, outcomeRefused)
				return err
			})
		}
		return outcome, err
	}
	return "", fmt.Errorf("%w, %d times over", errStale, attempts)
}

// try makes the effect of an event and applies it together with the event's id.
func (s *Service) try(ctx context.Context, event stripe.Event, makes maker) (string, error) {
	apply, err := makes(ctx, event)
	if err != nil {
		return "", err
	}
	outcome := outcomeApplied
	if apply == nil {
		outcome = outcomeForeign
	}
	err = s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		fresh, err := recordEvent(ctx, tx, event, outcome)
		if err != nil {
			return err
		}
		if !fresh {
			outcome = outcomeDuplicate
			return nil
		}
		if apply == nil {
			return nil
		}
		return apply(ctx, tx)
	})
	return outcome, err
}
