package stripeapi

import (
	"context"
	"fmt"

	"github.com/stripe/stripe-go/v85"
)

// disputed is how much of a payment its buyer's bank holds back or took, in
// cents.
func (s *Client) disputed(ctx context.Context, intentID string) (int64, error) {
	var sum int64
	params := &stripe.DisputeListParams{PaymentIntent: stripe.String(intentID)}
	for dispute, err := range s.V1Disputes.List(ctx, params).All(ctx) {
		if err != nil {
			return 0, fmt.Errorf("list disputes of %s: %w", intentID, err)
		}
		if takes(dispute.Status) {
			sum += dispute.Amount
		}
	}
	return sum, nil
}

// takes reports whether a dispute of this status took the money. Inquiries and
// what was prevented did not, and what was won came back.
func takes(status stripe.DisputeStatus) bool {
	switch status {
	case stripe.DisputeStatusNeedsResponse, stripe.DisputeStatusUnderReview, stripe.DisputeStatusLost:
		return true
	}
	return false
}
