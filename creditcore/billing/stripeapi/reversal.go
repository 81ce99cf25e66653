package stripeapi

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v85"
)

// ReversedIntents are the payments that were refunded or disputed since,
// however old they are.
func (s *Client) ReversedIntents(ctx context.Context, since time.Time) ([]string, error) {
	var ids []string
	created := &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}
	refunds := &stripe.RefundListParams{CreatedRange: created}
	refunds.Limit = stripe.Int64(100)
	for refund, err := range s.V1Refunds.List(ctx, refunds).All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list refunds: %w", err)
		}
		if refund.PaymentIntent != nil {
			ids = append(ids, refund.PaymentIntent.ID)
		}
	}
	disputes := &stripe.DisputeListParams{CreatedRange: created}
	disputes.Limit = stripe.Int64(100)
	for dispute, err := range s.V1Disputes.List(ctx, disputes).All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list disputes: %w", err)
		}
		if dispute.PaymentIntent != nil {
			ids = append(ids, dispute.PaymentIntent.ID)
		}
	}
	return ids, nil
}
