package purchase

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// offSession has Stripe keep the card that pays for the customer, once they have
// confirmed with their bank what it wants to know, so that it is charged again while they
// are not there. It is asked of cards alone: for a payment as a whole it would have Stripe
// keep the bank account of a SEPA debit, too, which nothing here charges again.
const offSession = "off_session"

// mostFingerprint bounds what is kept of a card; Stripe's are of 16 characters.
const mostFingerprint = 255

// noteCard notes that a user has bought with a card. Those of organisations are not
// noted, as colleagues share them, and those of deleted accounts not any more.
func (s *Service) noteCard(ctx context.Context, tx pgx.Tx, p purchaseRow, fingerprint string) error {
	if fingerprint == "" || len(fingerprint) > mostFingerprint || !settle.Storable(fingerprint) || p.BoughtBy != "" {
		return nil
	}
	at := s.now()
	if p.Status == Completed {
		at = p.PaidAt
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO credits.cards AS c (fingerprint, user_id, first_seen_at, last_seen_at)
		SELECT $1, u.id, $3, $3
		FROM auth.users AS u
		WHERE u.id = $2
			AND u.deleted_at IS NULL
		ON CONFLICT (fingerprint, user_id) DO UPDATE
		SET first_seen_at = least(c.first_seen_at, $3), last_seen_at = greatest(c.last_seen_at, $3)`, fingerprint, p.UserID, at)
	return err
}

// checkCard has Stripe forget a card that nobody is there for any more: the credits of
// such a purchase may be refused, and no transaction would see to its card.
func (s *Service) checkCard(ctx context.Context, p purchaseRow, now *stripeapi.Payment) error {
	owner, err := s.stripe.OwnerOf(ctx, now.Kept.CustomerID)
	if err != nil && !errors.Is(err, stripeapi.ErrUnknownCustomer) {
		return err
	}
	if err == nil && !owner.Removed && owner.UserID == p.UserID {
		return nil
	}
	if err := s.stripe.ForgetCard(ctx, now.Kept.PaymentMethodID); err != nil {
		s.log.WarnContext(ctx, "have Stripe forget the card of an account that is closed", "purchase", p.ID, "error", err)
	}
	now.Kept = nil
	return nil
}

// keepCard hands on a card that is to be kept.
func (s *Service) keepCard(ctx context.Context, tx pgx.Tx, p purchaseRow, card *stripeapi.Card) error {
	if card == nil || !p.SaveCard || s.cardPaid == nil {
		return nil
	}
	buyer := p.BoughtBy
	if buyer == "" {
		buyer = p.UserID
	}
	return s.cardPaid(ctx, tx, PaidCard{Card: *card, Account: p.UserID, UserID: buyer})
}
