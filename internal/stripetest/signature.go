package stripetest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"
)

// Payload is the event as a webhook gets it: the body and its Stripe-Signature
// header, signed now by the server's clock with its secret.
func (s *Server) Payload(e Event) (body []byte, signature string) {
	return s.SignedAt(e, s.Now(), s.WebhookSecret)
}

// SignedAt signs an event at any time and with any secrets: none gives a
// header without a signature, two the header of a secret that is rotated.
func (s *Server) SignedAt(e Event, at time.Time, secrets ...string) (body []byte, signature string) {
	body = encode(e.object())
	parts := []string{fmt.Sprintf("t=%d", at.Unix())}
	for _, secret := range secrets {
		parts = append(parts, "v1="+hex.EncodeToString(webhook.ComputeSignature(at, body, secret)))
	}
	return body, strings.Join(parts, ",")
}

// Deliver gives the events to a webhook one after the other, whatever it
// answers, and returns its errors joined.
func (s *Server) Deliver(to func(body []byte, signature string) error, events ...Event) error {
	var faults []error
	for _, e := range events {
		body, signature := s.Payload(e)
		if err := to(body, signature); err != nil {
			faults = append(faults, fmt.Errorf("deliver %s %s: %w", e.ID, e.Type, err))
		}
	}
	return errors.Join(faults...)
}
