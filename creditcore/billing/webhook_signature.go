package billing

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
)

// tolerance is how far the time of a signature may lie from ours, before or
// after.
const tolerance = webhook.DefaultTolerance

// verified reads an event that one of the secrets signed. It fails with
// [ErrSignature].
func verified(payload []byte, header string, secrets []string, now time.Time) (stripe.Event, error) {
	// Stripe's library bounds the age alone, and by the clock of the machine.
	if age := now.Sub(signedAt(header)); age > tolerance || age < -tolerance {
		return stripe.Event{}, fmt.Errorf("%w: signed at another time", ErrSignature)
	}
	err := errors.New("no secret is configured")
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		var event stripe.Event
		event, err = webhook.ConstructEventWithOptions(payload, header, secret, webhook.ConstructEventOptions{
			IgnoreTolerance: true,
			// Of an event no more is used than which object changed.
			IgnoreAPIVersionMismatch: true,
		})
		if err == nil {
			return event, nil
		}
	}
	return stripe.Event{}, fmt.Errorf("%w: %w", ErrSignature, err)
}

// signedAt is the time that a signature header claims: the last one, which is
// what the library takes the signature to cover.
func signedAt(header string) time.Time {
	var at time.Time
	for pair := range strings.SplitSeq(header, ",") {
		if value, ok := strings.CutPrefix(pair, "t="); ok {
			unix, _ := strconv.ParseInt(value, 10, 64)
			at = time.Unix(unix, 0)
		}
	}
	return at
}
