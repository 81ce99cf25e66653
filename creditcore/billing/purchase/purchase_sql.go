package purchase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// purchaseColumns are those of [Purchase].
const purchaseColumns = `id, user_id, bought_by, package_id, credits, price_euro_cents, stripe_payment_intent_id,
	stripe_customer_id, status, metadata, created_at, completed_at`

// purchaseRow is a purchase as this package works with it. Missing texts are
// empty.
type purchaseRow struct {
	ID             string
	UserID         string // the account
	BoughtBy       string // the member, where the account is an organisation's
	PackageID      string
	PackageName    string
	Credits        creditcore.Amount
	PriceEuroCents int64
	IntentID       string
	SessionID      string
	CustomerID     string
	CheckoutURL    string
	Status         Status
	ExpiresAt      *time.Time
	RequestHash    []byte
	// SaveCard is what who bought wants of the card that pays.
	SaveCard bool
	// PaidAt is when it was completed, or else made.
	PaidAt time.Time
	// ReversedEuroCents were refunded or are disputed, which is
	// ReversedCredits; ClawedBack of them were taken back or are owed.
	ReversedEuroCents int64
	ReversedCredits   creditcore.Amount
	ClawedBack        creditcore.Amount
	Revision          int64

	replayed bool
}

const rowColumns = `p.id, p.user_id, coalesce(p.bought_by, '') AS bought_by, coalesce(p.package_id, '') AS package_id,
	coalesce((SELECT k.name FROM credits.packages k WHERE k.id = p.package_id), '') AS package_name,
	p.credits, p.price_euro_cents, coalesce(p.stripe_payment_intent_id, '') AS intent_id,
	coalesce(p.stripe_session_id, '') AS session_id, coalesce(p.stripe_customer_id, '') AS customer_id,
	coalesce(p.checkout_url, '') AS checkout_url, p.status, p.expires_at, p.request_hash, p.save_card,
	coalesce(p.completed_at, p.created_at) AS paid_at,
	p.reversed_euro_cents, p.reversed_credits, p.clawed_back, p.revision`

func purchaseError(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// stripeMetadata names the purchase at Stripe.
func (p purchaseRow) stripeMetadata() map[string]string {
	buyer := creditcore.Caller{UserID: p.UserID}
	if p.BoughtBy != "" {
		buyer = creditcore.Caller{UserID: p.BoughtBy, Organization: creditcore.OrganizationOf(p.UserID)}
	}
	names := stripeapi.BuyerMetadata(buyer)
	names["packageId"], names["purchaseId"] = p.PackageID, p.ID
	return names
}

// lotReference names the purchase's lot in the ledger.
func (p purchaseRow) lotReference() string { return "purchase:" + p.ID }

// addPurchase writes a pending purchase, or fails with [ErrNotFound]
// where the key is taken, or with an [*OpenPurchasesError].
func (s *Service) addPurchase(ctx context.Context, c creditcore.Caller, customerID string, pack catalog.Package, o sale) (p purchaseRow, err error) {
	now, account, boughtBy := s.now().UTC().Truncate(time.Millisecond), c.Account(), ""
	if c.Organization != "" {
		boughtBy = c.UserID
	}
	metadata := map[string]string{}
	if o.roomID != "" {
		metadata["roomId"] = o.roomID
	}
	var expires *time.Time
	if o.kind == kindCheckout {
		at := now.Add(checkoutLife).Truncate(time.Second)
		expires = &at
	}
	err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if err := lockBuyer(ctx, tx, account); err != nil {
			return err
		}
		if err := checkOpen(ctx, tx, account, o.key, now); err != nil {
			return err
		}
		p, err = dbscope.TxRow[purchaseRow](ctx, tx, `
			INSERT INTO credits.purchases AS p (user_id, bought_by, package_id, credits, price_euro_cents, stripe_customer_id,
				metadata, kind, idempotency_key, request_hash, save_card, created_at, updated_at, expires_at)
			VALUES (@user_id, nullif(@bought_by, ''), @package_id, @credits, @price, @customer_id, nullif(@metadata::jsonb, '{}'), @kind, nullif(@key, ''), @request_hash, @save_card, @now, @now, @expires_at)
			ON CONFLICT (user_id, idempotency_key) DO NOTHING
			RETURNING `+rowColumns, pgx.StrictNamedArgs{
			"user_id": account, "bought_by": boughtBy, "package_id": pack.ID, "credits": int64(pack.Credits), "price": pack.PriceEuroCents,
			"customer_id": customerID, "metadata": metadata, "kind": o.kind, "key": o.key,
			"request_hash": o.fingerprint(), "save_card": o.saveCard, "now": now, "expires_at": expires,
		})
		return err
	})
	return p, purchaseError(err)
}

func (s *Service) purchaseByKey(ctx context.Context, userID, key string) (purchaseRow, error) {
	p, err := dbscope.One[purchaseRow](ctx, s.db, dbscope.System(), `
		SELECT `+rowColumns+`
		FROM credits.purchases p
		WHERE p.user_id = $1
			AND p.idempotency_key = $2`, userID, key)
	return p, purchaseError(err)
}

// link is what Stripe made for a purchase.
type link struct {
	intentID    string
	sessionID   string
	checkoutURL string
}

// linkPurchase stores the ids that Stripe gave. A purchase that a twin's
// failure marked as failed is pending again.
func (s *Service) linkPurchase(ctx context.Context, p purchaseRow, l link) error {
	if (l.intentID == "" || p.IntentID == l.intentID) && (l.sessionID == "" || p.SessionID == l.sessionID) {
		return nil
	}
	_, err := s.db.Exec(context.WithoutCancel(ctx), dbscope.System(), `
		UPDATE credits.purchases
		SET stripe_payment_intent_id = coalesce(stripe_payment_intent_id, nullif(@intent_id, '')),
			stripe_session_id = coalesce(stripe_session_id, nullif(@session_id, '')),
			checkout_url = coalesce(checkout_url, nullif(@checkout_url, '')),
			stripe_customer_id = @customer_id,
			metadata = CASE WHEN @session_id = '' THEN metadata
				ELSE coalesce(metadata, '{}') || jsonb_build_object('stripeSessionId', @session_id::text) END,
			status = CASE WHEN status = 'failed' AND stripe_payment_intent_id IS NULL AND stripe_session_id IS NULL
				THEN 'pending' ELSE status END,
			revision = revision + 1, updated_at = @now
		WHERE id = @id`, pgx.StrictNamedArgs{
		"id": p.ID, "intent_id": l.intentID, "session_id": l.sessionID, "checkout_url": l.checkoutURL,
		"customer_id": p.CustomerID, "now": s.now(),
	})
	if err != nil {
		return fmt.Errorf("store the ids of purchase %s: %w", p.ID, err)
	}
	return nil
}

// abandonPurchase marks a purchase that Stripe has nothing of as failed. Its
// key may be used again: a refusal stores nothing.
func (s *Service) abandonPurchase(ctx context.Context, id, reason string, now time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, dbscope.System(), `
		UPDATE credits.purchases
		SET status = 'failed', idempotency_key = NULL, revision = revision + 1, updated_at = @now,
			metadata = coalesce(metadata, '{}') || jsonb_build_object('failureReason', @reason::text, 'failedAt', @failed_at::text)
		WHERE id = @id
			AND status = 'pending'
			AND stripe_payment_intent_id IS NULL
			AND stripe_session_id IS NULL`, pgx.StrictNamedArgs{
		"id": id, "reason": reason, "failed_at": settle.Timestamp(now), "now": now,
	})
	return n == 1, err
}

// findPurchase looks for the purchase that a payment reference leads to: by its payment, by its id,
// by its session.
func (s *Service) findPurchase(ctx context.Context, ref paymentReference) (purchaseRow, error) {
	p, err := dbscope.One[purchaseRow](ctx, s.db, dbscope.System(), `
		SELECT `+rowColumns+`
		FROM credits.purchases p
		WHERE p.stripe_payment_intent_id = nullif($1, '')
			OR p.id = nullif($2, '')
			OR p.stripe_session_id = nullif($3, '')
		ORDER BY p.stripe_payment_intent_id = $1 DESC NULLS LAST, p.id = $2 DESC
		LIMIT 1`, ref.intentID, ref.purchaseID, ref.sessionID)
	return p, purchaseError(err)
}

// Purchased reports whether a payment intent is that of a purchase.
func (s *Service) Purchased(ctx context.Context, intentID string) (bool, error) {
	_, err := s.findPurchase(ctx, paymentReference{intentID: intentID})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// lockPurchase fails with ErrStale if the row is not as it was read.
func lockPurchase(ctx context.Context, tx pgx.Tx, p purchaseRow) error {
	var revision int64
	err := tx.QueryRow(ctx, `
		SELECT revision
		FROM credits.purchases
		WHERE id = $1
		FOR UPDATE`, p.ID).Scan(&revision)
	if err != nil {
		return err
	}
	if revision != p.Revision {
		return settle.ErrStale
	}
	return nil
}

// storePurchase writes where a purchase stands. It must be locked.
func storePurchase(ctx context.Context, tx pgx.Tx, p purchaseRow, reason string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE credits.purchases
		SET status = @status,
			completed_at = CASE WHEN @status = 'completed' THEN coalesce(completed_at, @now) END,
			stripe_payment_intent_id = nullif(@intent_id, ''),
			stripe_session_id = nullif(@session_id, ''),
			reversed_euro_cents = @reversed_cents,
			reversed_credits = @reversed_credits,
			clawed_back = @clawed_back,
			shortfall = @reversed_credits::bigint - @clawed_back::bigint,
			metadata = CASE WHEN @reason = '' THEN metadata ELSE coalesce(metadata, '{}')
				|| jsonb_build_object('failureReason', @reason::text, 'failedAt', @failed_at::text) END,
			revision = revision + 1,
			updated_at = @now
		WHERE id = @id`, pgx.StrictNamedArgs{
		"id": p.ID, "status": p.Status, "intent_id": p.IntentID, "session_id": p.SessionID,
		"reversed_cents": p.ReversedEuroCents, "reversed_credits": int64(p.ReversedCredits),
		"clawed_back": int64(p.ClawedBack), "reason": reason, "now": now, "failed_at": settle.Timestamp(now),
	})
	return err
}
