package topup

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// setupMode is the mode of a checkout session that saves a card.
const setupMode = "setup"

// SessionID stands in a success URL for the id of the session, which Stripe fills in.
const SessionID = "{CHECKOUT_SESSION_ID}"

// SaveCard opens a page of Stripe where the caller saves a card for top-ups, and
// returns its address. It fails with [stripeapi.ErrNotConfigured],
// [stripeapi.ErrUserNotFound], [stripeapi.ErrCustomer], [stripeapi.ErrCheckout], a
// [*stripeapi.PaymentError] or a [*stripeapi.ReturnURLError].
func (s *Service) SaveCard(ctx context.Context, c creditcore.Caller, successURL, cancelURL string) (string, error) {
	if s.stripe == nil {
		return "", stripeapi.ErrNotConfigured
	}
	if err := s.returns.Check("successUrl", successURL, "cancelUrl", cancelURL); err != nil {
		return "", err
	}
	page := ""
	err := s.stripe.WithCustomer(ctx, c, func(customerID string) error {
		ctx, cancel := stripeapi.WithTimeout(ctx)
		defer cancel()
		session, err := s.stripe.V1CheckoutSessions.Create(ctx, &stripe.CheckoutSessionCreateParams{
			Mode:               stripe.String(setupMode),
			PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
			Customer:           stripe.String(customerID),
			Metadata:           stripeapi.BuyerMetadata(c),
			SuccessURL:         stripe.String(successURL),
			CancelURL:          stripe.String(cancelURL),
		})
		if err == nil {
			page = session.URL
		}
		return err
	})
	if err != nil && !errors.Is(err, stripeapi.ErrUserNotFound) && !errors.Is(err, stripeapi.ErrCustomer) && !errors.Is(err, creditcore.ErrUnavailable) {
		err = stripeapi.PublicError(err, stripeapi.ErrCheckout)
	}
	return page, err
}

// SavesCard reports whether an event is of a session that saves a card.
func SavesCard(event stripe.Event) bool {
	o, err := settle.ObjectOf(event)
	return err == nil && o.Mode == setupMode
}

// CardEvent handles what happens to a session that saves a card.
func (s *Service) CardEvent(ctx context.Context, event stripe.Event) (settle.Effect, error) {
	o, err := settle.ObjectOf(event)
	if err != nil {
		return nil, err
	}
	saved, err := s.savedBy(ctx, o.ID)
	if errors.Is(err, stripeapi.ErrUnknownCustomer) || err == nil && saved.PaymentMethodID == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx pgx.Tx) error { return s.keepTx(ctx, tx, saved) }, nil
}

// CardPaid keeps the card of a purchase whose buyer wants it kept: it is the CardPaid
// of [purchase.Deps].
func (s *Service) CardPaid(ctx context.Context, tx pgx.Tx, c purchase.PaidCard) error {
	return s.keepTx(ctx, tx, savedCard{Card: c.Card, account: c.Account, userID: c.UserID})
}

// CardSaved takes the card of a session that the caller comes back from, before
// Stripe's event may have: one that saves a card, or one that sold a package to who wants
// the card kept that pays. A session of somebody else is none.
func (s *Service) CardSaved(ctx context.Context, c creditcore.Caller, sessionID string) error {
	if s.stripe == nil || sessionID == "" {
		return nil
	}
	if sold, err := s.purchases.RefreshSession(ctx, c, sessionID); sold || err != nil {
		return err
	}
	saved, err := s.savedBy(ctx, sessionID)
	switch {
	case errors.Is(err, stripeapi.ErrUnknownCustomer), stripeapi.Missing(err), err == nil && (saved.PaymentMethodID == "" || saved.account != c.Account()):
		return nil
	case err != nil:
		return err
	}
	return settle.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error { return s.keepTx(ctx, tx, saved) })
}

// savedCard is a card as Stripe has it, and whose it is.
type savedCard struct {
	stripeapi.Card
	account, userID string
}

// savedBy asks Stripe what a session saved: nothing where it is no such session, or
// not complete.
func (s *Service) savedBy(ctx context.Context, sessionID string) (savedCard, error) {
	bound, cancel := stripeapi.WithTimeout(ctx)
	defer cancel()
	session, err := s.stripe.V1CheckoutSessions.Retrieve(bound, sessionID, &stripe.CheckoutSessionRetrieveParams{
		Expand: []*string{stripe.String("setup_intent.payment_method")},
	})
	if err != nil {
		return savedCard{}, fmt.Errorf("fetch checkout session %s: %w", sessionID, err)
	}
	intent := session.SetupIntent
	if session.Mode != setupMode || intent == nil || intent.Status != stripe.SetupIntentStatusSucceeded || session.Livemode != s.stripe.Live() {
		return savedCard{}, nil
	}
	card := stripeapi.CardOf(intent.PaymentMethod)
	if card == nil {
		return savedCard{}, nil
	}
	owner, err := s.stripe.OwnerOf(ctx, card.CustomerID)
	if err != nil || owner.Removed {
		return savedCard{}, err
	}
	saved := savedCard{Card: *card, account: owner.UserID, userID: owner.UserID}
	if creditcore.OrganizationOf(owner.UserID) != "" {
		saved.userID = session.Metadata["userId"]
	}
	return saved, nil
}

// keepTx keeps a card in place of an older one. Stripe forgets whichever of both is not
// kept: a newer one stays, and an account that is closed, or is another customer by now,
// has none.
func (s *Service) keepTx(ctx context.Context, tx pgx.Tx, c savedCard) error {
	type before struct{ PaymentMethodID string }
	old, err := dbscope.TxRow[before](ctx, tx, `
		SELECT coalesce((
			SELECT payment_method_id
			FROM credits.top_up_settings
			WHERE account_id = $1
			FOR UPDATE), '') AS payment_method_id`, c.account)
	if err != nil || old.PaymentMethodID == c.PaymentMethodID {
		return err
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO credits.top_up_settings AS s (account_id, user_id, payment_method_id, card_brand, card_last4, card_exp_month, card_exp_year,
			card_livemode, card_saved_at)
		SELECT @account, u.id, @payment_method, @brand, @last4, @exp_month, @exp_year, @live, @at
		FROM auth.users AS u
		JOIN credits.stripe_customers AS k ON k.user_id = @account
			AND k.stripe_customer_id = @customer
		WHERE u.id = @user_id
			AND u.deleted_at IS NULL
			AND `+functions.Schema+`.lives(@account)
		ON CONFLICT (account_id) DO UPDATE
		SET payment_method_id = excluded.payment_method_id, card_brand = excluded.card_brand, card_last4 = excluded.card_last4,
			card_exp_month = excluded.card_exp_month, card_exp_year = excluded.card_exp_year, card_livemode = excluded.card_livemode,
			card_saved_at = excluded.card_saved_at, failures = 0, updated_at = now()
		WHERE s.card_saved_at IS NULL
			OR s.card_saved_at <= excluded.card_saved_at`, pgx.StrictNamedArgs{
		"account": c.account, "user_id": c.userID, "payment_method": c.PaymentMethodID, "customer": c.CustomerID, "brand": c.Brand,
		"last4": c.Last4, "exp_month": c.ExpMonth, "exp_year": c.ExpYear, "live": s.live(), "at": c.GivenAt,
	})
	if err != nil {
		return err
	}
	forget := old.PaymentMethodID
	if n.RowsAffected() == 0 {
		forget = c.PaymentMethodID
	}
	if forget != "" {
		settle.OnCommit(ctx, func() {
			if err := s.stripe.ForgetCard(context.WithoutCancel(ctx), forget); err != nil {
				s.log.WarnContext(ctx, "have Stripe forget a card that was replaced", "account", c.account, "error", err)
			}
		})
	}
	return nil
}

// ForgetCard has Stripe forget the card, and switches top-up off. It fails with
// [stripeapi.ErrNotConfigured] or [ErrCard].
func (s *Service) ForgetCard(ctx context.Context, c creditcore.Caller) error {
	if s.stripe == nil {
		return stripeapi.ErrNotConfigured
	}
	now, err := s.TopUp(ctx, c)
	if err != nil || now.Card == nil {
		return err
	}
	return s.forget(ctx, c.Account(), now.Card.paymentMethod)
}

func (s *Service) forget(ctx context.Context, account, paymentMethod string) error {
	if err := s.stripe.ForgetCard(ctx, paymentMethod); err != nil {
		return fmt.Errorf("%w: %w", ErrCard, err)
	}
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if err := s.ledger.LockTx(ctx, tx, account); err != nil {
			return err
		}
		if err := switchOffTx(ctx, tx, account, ""); err != nil {
			return err
		}
		return dropCardTx(ctx, tx, account, paymentMethod)
	})
}

// dropCardTx forgets a card, unless there is another one by now. What needs it must
// be off.
func dropCardTx(ctx context.Context, tx pgx.Tx, account, paymentMethod string) error {
	_, err := tx.Exec(ctx, `
		UPDATE credits.top_up_settings
		SET payment_method_id = NULL, card_brand = NULL, card_last4 = NULL, card_exp_month = NULL, card_exp_year = NULL,
			card_livemode = NULL, card_saved_at = NULL
		WHERE account_id = $1
			AND payment_method_id = $2`, account, paymentMethod)
	return err
}

// EraseTx switches top-up off for an account that ends. [Service.ForgetClosed] has
// Stripe forget its card.
func EraseTx(ctx context.Context, tx pgx.Tx, account string) error {
	return switchOffTx(ctx, tx, account, "")
}

// ForgetClosed forgets the cards and settings of accounts that are closed.
func (s *Service) ForgetClosed(ctx context.Context) error {
	type row struct {
		AccountID       string
		PaymentMethodID string
	}
	list, err := dbscope.List[row](ctx, s.db, dbscope.System(), `
		SELECT s.account_id, coalesce(s.payment_method_id, '') AS payment_method_id
		FROM credits.top_up_settings AS s
		WHERE NOT `+functions.Schema+`.lives(s.account_id)
		LIMIT $1`, batch)
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range list {
		if r.PaymentMethodID != "" {
			if s.stripe == nil {
				continue
			}
			if err := s.stripe.ForgetCard(ctx, r.PaymentMethodID); err != nil {
				failed = append(failed, fmt.Errorf("forget the card of %s: %w", r.AccountID, err))
				continue
			}
		}
		if _, err := s.db.Exec(ctx, dbscope.System(), `DELETE FROM credits.top_up_settings WHERE account_id = $1`, r.AccountID); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
