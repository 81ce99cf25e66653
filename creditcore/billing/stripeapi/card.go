package stripeapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v85"
)

// Card is a card that Stripe keeps for a customer.
type Card struct {
	PaymentMethodID, CustomerID string
	Brand, Last4                string
	ExpMonth, ExpYear           int
	GivenAt                     time.Time // when its owner typed it in
}

// CardOf reads a payment method: nil where it is no card, or no customer has it, so
// that it pays once only.
func CardOf(m *stripe.PaymentMethod) *Card {
	if m == nil || m.Card == nil || m.Customer == nil {
		return nil
	}
	return &Card{
		PaymentMethodID: m.ID, CustomerID: m.Customer.ID, Brand: string(m.Card.Brand), Last4: m.Card.Last4,
		ExpMonth: int(m.Card.ExpMonth), ExpYear: int(m.Card.ExpYear), GivenAt: time.Unix(m.Created, 0),
	}
}

// ForgetCard has Stripe forget a card. One that it does not know, or that no customer
// has, is forgotten.
func (s *Client) ForgetCard(ctx context.Context, paymentMethodID string) error {
	ctx, cancel := WithTimeout(ctx)
	defer cancel()
	_, err := s.V1PaymentMethods.Detach(ctx, paymentMethodID, nil)
	var answer *stripe.Error
	if errors.As(err, &answer) && (answer.HTTPStatusCode == http.StatusNotFound || answer.HTTPStatusCode == http.StatusBadRequest) {
		return nil
	}
	return err
}
