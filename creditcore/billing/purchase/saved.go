package purchase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// kindTopUp is a purchase that is paid with a card that Stripe keeps.
const kindTopUp = "top_up"

var (
	// ErrCardGone means that Stripe does not have the card, or its customer, any more.
	ErrCardGone = errors.New("the saved card is gone")
	// ErrAuthenticationRequired means that the bank wants to ask who pays.
	ErrAuthenticationRequired = errors.New("the payment must be confirmed by who pays")
	// ErrDeclined means that the card was declined.
	ErrDeclined = errors.New("the card was declined")
)

// TopUp is a purchase that nobody is there to pay for. Its ID, of the caller's
// choice, is that of the purchase: one ID is one purchase, and one payment.
type TopUp struct {
	ID, Account string
	BoughtBy    string // the member who agreed, where the account is an organisation's
	CustomerID  string
	Package     catalog.Package
}

// AddTopUpTx writes the purchase of a top-up, unless it is there.
func (s *Service) AddTopUpTx(ctx context.Context, tx pgx.Tx, t TopUp) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO credits.purchases (id, user_id, bought_by, package_id, credits, price_euro_cents, stripe_customer_id, kind, created_at, updated_at)
		VALUES (@id, @user_id, nullif(@bought_by, ''), @package_id, @credits, @price, @customer_id, @kind, @now, @now)
		ON CONFLICT (id) DO NOTHING`, pgx.StrictNamedArgs{
		"id": t.ID, "user_id": t.Account, "bought_by": t.BoughtBy, "package_id": t.Package.ID, "credits": int64(t.Package.Credits),
		"price": t.Package.PriceEuroCents, "customer_id": t.CustomerID, "kind": kindTopUp, "now": s.now(),
	})
	return err
}

// ChargeSaved pays for a top-up with a saved card while nobody is there, and brings
// the purchase up to date. The payment is made first and charged once it is stored:
// whatever is repeated after a failure goes on with that payment, which Stripe lets
// succeed once. A refusal is [ErrAuthenticationRequired], [ErrDeclined] or
// [ErrCardGone]; after any other error the same may be asked again. The key tells
// one try from another.
func (s *Service) ChargeSaved(ctx context.Context, id, paymentMethod, key string) (stripeapi.Payment, error) {
	p, err := s.topUpIntent(ctx, id)
	if err != nil {
		return stripeapi.Payment{}, err
	}
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String(paymentMethod), OffSession: stripe.Bool(true)}
	params.SetIdempotencyKey("top-up:" + id + ":" + key + ":" + s.stripe.KeyHour())
	_, refused := s.confirmIntent(ctx, p.IntentID, params)
	if refused != nil && !answered(refused) {
		return stripeapi.Payment{}, s.whetherGone(ctx, p, paymentMethod, refused)
	}
	now, err := s.refresh(ctx, paymentReference{purchaseID: id}, nil)
	if err == nil && now.Progress != stripeapi.Paid && now.Progress != stripeapi.Processing {
		err = refused
	}
	return now, err
}

// ConfirmSaved asks the bank of a saved card to confirm the payment of a top-up
// with who pays, who is there. It returns the page where they do, or none where
// nothing is left to do; that page leads to returnURL. It fails with a
// [*stripeapi.PaymentError], [ErrIntent] or [ErrCardGone].
func (s *Service) ConfirmSaved(ctx context.Context, id, paymentMethod, returnURL string) (string, error) {
	p, err := s.topUpIntent(ctx, id)
	if err != nil {
		return "", stripeapi.PublicError(err, ErrIntent)
	}
	intent, err := s.intentOf(ctx, p)
	if err != nil {
		return "", stripeapi.PublicError(err, ErrIntent)
	}
	if page := confirmationPage(intent); page != "" {
		return page, nil
	}
	if intent.Status != stripe.PaymentIntentStatusSucceeded && intent.Status != stripe.PaymentIntentStatusProcessing {
		intent, err = s.confirmIntent(ctx, p.IntentID, &stripe.PaymentIntentConfirmParams{
			PaymentMethod: stripe.String(paymentMethod), ReturnURL: stripe.String(returnURL),
		})
	}
	switch {
	case err != nil && !answered(err):
		if err = s.whetherGone(ctx, p, paymentMethod, err); errors.Is(err, ErrCardGone) {
			return "", err
		}
		return "", stripeapi.PublicError(err, ErrIntent)
	case err != nil:
		if _, failed := s.refresh(ctx, paymentReference{purchaseID: id}, nil); failed != nil {
			s.log.WarnContext(ctx, "bring a declined purchase up to date", "purchase", id, "error", failed)
		}
		return "", stripeapi.PublicError(err, ErrIntent)
	}
	if page := confirmationPage(intent); page != "" {
		return page, nil
	}
	_, err = s.refresh(ctx, paymentReference{purchaseID: id}, nil)
	return "", err
}

// RefreshSaved brings the purchase of a top-up up to date.
func (s *Service) RefreshSaved(ctx context.Context, id string) (stripeapi.Payment, error) {
	return s.refresh(ctx, paymentReference{purchaseID: id}, nil)
}

// CancelSaved ends the payment of a top-up, so that it cannot succeed any more, and
// brings the purchase up to date. It says how far the payment came: a paid one stays.
func (s *Service) CancelSaved(ctx context.Context, id string) (stripeapi.Payment, error) {
	now, err := s.RefreshSaved(ctx, id)
	if err != nil || now.IntentID == "" || now.Progress == stripeapi.Paid || now.Progress == stripeapi.Over {
		return now, err
	}
	bound, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	if _, err = s.stripe.V1PaymentIntents.Cancel(bound, now.IntentID, nil); err != nil && !answered(classified(err)) {
		return now, fmt.Errorf("cancel payment intent %s: %w", now.IntentID, err)
	}
	return s.RefreshSaved(ctx, id)
}

// topUpIntent is the purchase of a top-up with its payment, which is made where
// there is none. One that was made and not stored is found at Stripe.
func (s *Service) topUpIntent(ctx context.Context, id string) (purchaseRow, error) {
	p, err := s.findPurchase(ctx, paymentReference{purchaseID: id})
	if err != nil || p.IntentID != "" {
		return p, err
	}
	intent, err := s.madeTopUpIntent(ctx, p)
	if err == nil && intent == nil {
		intent, err = s.makeTopUpIntent(ctx, p)
	}
	if stripeapi.CustomerGone(err) {
		return p, fmt.Errorf("%w: %w", ErrCardGone, err)
	}
	if err != nil {
		return p, err
	}
	if err := s.linkPurchase(ctx, p, link{intentID: intent.ID}); err != nil {
		return p, err
	}
	s.observed("begun")
	// Another edge may have been faster, with a payment of its own: that which is
	// stored counts.
	return s.findPurchase(ctx, paymentReference{purchaseID: id})
}

// madeTopUpIntent is the payment of a top-up that was made and not stored, nil where
// there is none. An idempotency key would not do: Stripe forgets it after a day, and
// repeats a failure under it until then.
func (s *Service) madeTopUpIntent(ctx context.Context, p purchaseRow) (*stripe.PaymentIntent, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	params := &stripe.PaymentIntentListParams{Customer: stripe.String(p.CustomerID)}
	params.Limit = stripe.Int64(100)
	for intent, err := range s.stripe.V1PaymentIntents.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, err
		}
		if intent.Metadata["purchaseId"] == p.ID && intent.Status != stripe.PaymentIntentStatusCanceled {
			return intent, nil
		}
		if time.Unix(intent.Created, 0).Before(p.PaidAt.Add(-clockSkew)) {
			break
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// clockSkew is how much Stripe's clock may be behind ours.
const clockSkew = time.Hour

// makeTopUpIntent makes a payment that takes no money before it is confirmed.
func (s *Service) makeTopUpIntent(ctx context.Context, p purchaseRow) (*stripe.PaymentIntent, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	params := &stripe.PaymentIntentCreateParams{
		Amount:             stripe.Int64(p.PriceEuroCents),
		Currency:           stripe.String(catalog.Currency),
		Customer:           stripe.String(p.CustomerID),
		Metadata:           p.stripeMetadata(),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
	}
	params.SetIdempotencyKey("purchase:" + p.ID + ":" + p.CustomerID + ":" + s.stripe.KeyHour())
	return s.stripe.V1PaymentIntents.Create(ctx, params)
}

func (s *Service) confirmIntent(ctx context.Context, intentID string, params *stripe.PaymentIntentConfirmParams) (*stripe.PaymentIntent, error) {
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	intent, err := s.stripe.V1PaymentIntents.Confirm(ctx, intentID, params)
	return intent, classified(err)
}

// confirmationPage is where who pays confirms a payment, if it waits for them.
func confirmationPage(intent *stripe.PaymentIntent) string {
	if intent.Status != stripe.PaymentIntentStatusRequiresAction || intent.NextAction == nil || intent.NextAction.RedirectToURL == nil {
		return ""
	}
	return intent.NextAction.RedirectToURL.URL
}

// errState means that the payment is beyond what was asked for.
var errState = errors.New("the payment is in another state")

// classified adds to an answer of Stripe what it means for a payment with a saved
// card. Errors that leave open what became of it stay as they are.
func classified(err error) error {
	var answer *stripe.Error
	if !errors.As(err, &answer) {
		return err
	}
	means := error(nil)
	switch {
	case answer.Code == stripe.ErrorCodeAuthenticationRequired:
		means = ErrAuthenticationRequired
	case answer.Type == stripe.ErrorTypeCard:
		means = ErrDeclined
	case answer.Code == stripe.ErrorCodePaymentIntentUnexpectedState:
		means = errState
	default:
		return err
	}
	return fmt.Errorf("%w: %w", means, err)
}

// whetherGone looks, where Stripe finds fault with a request, whether the card is
// still that of the customer.
func (s *Service) whetherGone(ctx context.Context, p purchaseRow, paymentMethod string, cause error) error {
	if !stripeapi.Decided(cause) {
		return cause
	}
	ctx, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	card, err := s.stripe.V1PaymentMethods.Retrieve(ctx, paymentMethod, nil)
	if stripeapi.Missing(err) || err == nil && (card.Customer == nil || card.Customer.ID != p.CustomerID) {
		return fmt.Errorf("%w: %w", ErrCardGone, cause)
	}
	return cause
}

// answered reports whether Stripe has decided.
func answered(err error) bool {
	return errors.Is(err, ErrAuthenticationRequired) || errors.Is(err, ErrDeclined) || errors.Is(err, errState)
}
