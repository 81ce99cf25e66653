package stripeapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
)

// Customer returns the Stripe customer of the caller's account, made where it has
// none: an organisation is a customer of its own, at the address of who buys for
// it first. Any
// number of first requests at once make one: requests of this process wait for
// each other, Stripe's idempotency key holds the processes together, and the
// row written first counts. The e-mail address is the one we know, never the
// token's. It fails with [ErrUserNotFound] or [ErrCustomer].
func (s *Client) Customer(ctx context.Context, c creditcore.Caller) (string, error) {
	owner, err := s.CustomerOwner(ctx, c)
	if err != nil || owner.CustomerID != "" {
		return owner.CustomerID, err
	}
	return s.makeCustomer(ctx, c, owner.Email, "")
}

// ReplaceCustomer makes another customer for one that Stripe has no more.
func (s *Client) ReplaceCustomer(ctx context.Context, c creditcore.Caller, gone string) (string, error) {
	owner, err := s.CustomerOwner(ctx, c)
	if err != nil || owner.CustomerID != "" && owner.CustomerID != gone {
		return owner.CustomerID, err
	}
	return s.makeCustomer(ctx, c, owner.Email, gone)
}

// WithCustomer calls fn with the caller's customer, and once more with a new
// one if Stripe answers that it knows no such customer: it was deleted there.
func (s *Client) WithCustomer(ctx context.Context, c creditcore.Caller, fn func(customerID string) error) error {
	id, err := s.Customer(ctx, c)
	if err != nil {
		return err
	}
	err = fn(id)
	if !CustomerGone(err) {
		return err
	}
	if id, err = s.ReplaceCustomer(ctx, c, id); err != nil {
		return err
	}
	return fn(id)
}

// BuyerMetadata names at Stripe who buys and, where it is for one, for which
// organisation.
func BuyerMetadata(c creditcore.Caller) map[string]string {
	names := map[string]string{"userId": c.UserID}
	if c.Organization != "" {
		names["organizationId"] = c.Organization
	}
	return names
}

// CustomerGone reports whether Stripe does not know the customer any more.
func CustomerGone(err error) bool {
	var refused *stripe.Error
	return errors.As(err, &refused) && refused.Code == stripe.ErrorCodeResourceMissing && refused.Param == "customer"
}

// makeCustomer makes a customer at Stripe and remembers it in place of gone.
func (s *Client) makeCustomer(ctx context.Context, c creditcore.Caller, email, gone string) (string, error) {
	account := c.Account()
	id, err, _ := s.customers.Do(account+"\x00"+gone, func() (any, error) {
		// The others who wait must not fail because this one left.
		ctx, cancel := WithTimeout(context.WithoutCancel(ctx))
		defer cancel()
		params := &stripe.CustomerCreateParams{
			Email:    stripe.String(email),
			Metadata: BuyerMetadata(c),
		}
		key := "customer:" + account + ":" + s.KeyHour()
		if gone != "" {
			key += ":after:" + gone
		}
		params.SetIdempotencyKey(key)
		made, err := s.V1Customers.Create(ctx, params)
		if reusedKey(err) { // the address changed since the key was first used
			params.SetIdempotencyKey(key + ":" + email)
			made, err = s.V1Customers.Create(ctx, params)
		}
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrCustomer, err)
		}
		if c.Organization != "" {
			email = "" // it is the buyer's, who may leave
		}
		return s.storeCustomer(ctx, account, made.ID, email, gone)
	})
	if err != nil {
		return "", err
	}
	return id.(string), nil
}

// reusedKey reports whether Stripe has seen the idempotency key with other
// parameters.
func reusedKey(err error) bool {
	var refused *stripe.Error
	return errors.As(err, &refused) && refused.Type == stripe.ErrorTypeIdempotency
}
