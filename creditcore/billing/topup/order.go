package topup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// claim is how long a top-up is an edge's that looks at it.
const claim = 5 * time.Minute

// step is what is to be done about a top-up.
type step int

const (
	wait   step = iota // nothing, now
	charge             // take the money
	end                // cancel the payment, if there is one, and end
)

// due is a top-up whose time has come, with what decides about it.
type due struct {
	ID, AccountID, UserID string
	State                 string
	Ordered               bool
	// OrderedPackage and OrderedPrice (cents) are what was ordered.
	OrderedPackage string
	OrderedPrice   int64
	Tries, Faults  int
	Enabled, Lives bool
	// Dips is whether the balance has not been over its threshold since.
	Dips            bool
	Threshold       creditcore.Amount
	PackageID       string
	Agreed          int64 // cents
	MonthlyCap      int64
	Spent           int64 // by the others of the month
	Recent          int64 // top-ups of the last 24 hours
	PaymentMethodID string
	CustomerID      string
	Failures        int

	step   step
	reason string // why it ends
	anew   bool   // another top-up is to follow where the account is low
}

var dueSQL = `
	SELECT t.id, t.account_id, t.user_id, t.state, t.ordered_at IS NOT NULL AS ordered, coalesce(p.package_id, '') AS ordered_package,
		coalesce(t.price_euro_cents, 0) AS ordered_price, t.tries, t.faults,
		coalesce(s.enabled, false) AS enabled, ` + functions.Schema + `.lives(t.account_id) AS lives,
		coalesce(b.low_told IS NOT NULL, false) AS dips, coalesce(b.low_below, 0)::bigint AS threshold,
		coalesce(s.package_id, '') AS package_id, coalesce(s.price_euro_cents, 0) AS agreed, coalesce(s.monthly_cap_cents, 0) AS monthly_cap,
		` + spentSQL(`m.id <> t.id`) + ` AS spent,
		(SELECT count(*) FROM credits.top_ups AS r
			WHERE r.account_id = t.account_id AND r.ordered_at > now() - interval '24 hours') AS recent,
		CASE WHEN s.card_livemode = $3 THEN coalesce(s.payment_method_id, '') ELSE '' END AS payment_method_id,
		coalesce(c.stripe_customer_id, '') AS customer_id, coalesce(s.failures, 0) AS failures
	FROM credits.top_ups AS t
	LEFT JOIN credits.purchases AS p ON p.id = t.id AND p.user_id = t.account_id
	LEFT JOIN credits.top_up_settings AS s ON s.account_id = t.account_id
	LEFT JOIN credits.balances AS b ON b.user_id = t.account_id
	LEFT JOIN credits.stripe_customers AS c ON c.user_id = t.account_id
	WHERE t.id = $1
		AND t.account_id = $2
		AND t.state IN ('open', 'confirm')
		AND t.due_at <= clock_timestamp()
	FOR UPDATE OF t`

// order decides about a top-up, under the lock of its account, and writes its
// purchase before anything is asked of Stripe. Of any number of edges one gets it.
func (s *Service) order(ctx context.Context, id, account string) (d due, err error) {
	err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if err := s.ledger.LockTx(ctx, tx, account); err != nil {
			return err
		}
		d, err = dbscope.TxRow[due](ctx, tx, dueSQL, id, account, s.live())
		if errors.Is(err, pgx.ErrNoRows) { // another edge was faster, or it is over
			d.step = wait
			return nil
		}
		if err != nil {
			return err
		}
		return s.decideTx(ctx, tx, &d)
	})
	return d, err
}

// decideTx is the rule. What it does not put off is this edge's for a while. What was
// ordered by other terms than the owner's of now ends, and another begins by these.
func (s *Service) decideTx(ctx context.Context, tx pgx.Tx, d *due) error {
	switch {
	case !d.Lives || !d.Enabled:
		d.step, d.reason = end, "off"
	case !d.Dips:
		d.step, d.reason = end, "unneeded"
	case d.State == "confirm":
		d.step, d.reason = end, "unconfirmed"
	case d.PaymentMethodID == "" || d.CustomerID == "":
		d.step, d.reason = end, "card"
	case d.Ordered && (d.OrderedPackage != d.PackageID || d.OrderedPrice > d.Agreed):
		d.step, d.reason, d.anew = end, "off", true
	case d.Ordered:
		return chargeTx(ctx, tx, d)
	default:
		return s.orderTx(ctx, tx, d)
	}
	return postponeTx(ctx, tx, d, "", claim)
}

// orderTx writes the purchase, where the owner's limits have room for it.
func (s *Service) orderTx(ctx context.Context, tx pgx.Tx, d *due) error {
	pack, err := s.catalog.PackageForSaleTx(ctx, tx, d.PackageID)
	switch {
	case err != nil && !errors.Is(err, catalog.ErrPackageNotFound):
		return err
	case err != nil || pack.PriceEuroCents > d.Agreed || pack.Credits < d.Threshold:
		d.step, d.reason = end, "package"
		return postponeTx(ctx, tx, d, "", claim)
	case d.Recent >= MostADay:
		return putOffTx(ctx, tx, d, "daily", fmt.Sprintf(`(SELECT min(r.ordered_at) + interval '24 hours' FROM (
			SELECT ordered_at FROM credits.top_ups
			WHERE account_id = $2 AND ordered_at IS NOT NULL
			ORDER BY ordered_at DESC LIMIT %d) AS r)`, MostADay))
	case d.Spent+pack.PriceEuroCents > d.MonthlyCap:
		return putOffTx(ctx, tx, d, "cap", nextMonth)
	}
	d.step = charge
	err = s.purchases.AddTopUpTx(ctx, tx, purchase.TopUp{
		ID: d.ID, Account: d.AccountID, BoughtBy: buyerOf(d.AccountID, d.UserID), CustomerID: d.CustomerID, Package: pack,
	})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE credits.top_ups
		SET price_euro_cents = $3, ordered_at = clock_timestamp(), reason = NULL, due_at = clock_timestamp() + $4::interval
		WHERE id = $1
			AND account_id = $2`, d.ID, d.AccountID, pack.PriceEuroCents, claim)
	return err
}

// chargeTx has what was ordered before charged, where the cap of now has room for it. What
// is charged in a later month than it was ordered in counts towards that one.
func chargeTx(ctx context.Context, tx pgx.Tx, d *due) error {
	if d.Spent+d.OrderedPrice > d.MonthlyCap {
		return putOffTx(ctx, tx, d, "cap", nextMonth)
	}
	d.step = charge
	_, err := tx.Exec(ctx, `
		UPDATE credits.top_ups
		SET ordered_at = CASE WHEN ordered_at < date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' THEN clock_timestamp() ELSE ordered_at END
		WHERE id = $1
			AND account_id = $2`, d.ID, d.AccountID)
	if err != nil {
		return err
	}
	return postponeTx(ctx, tx, d, "", claim)
}

// nextMonth is when another month (UTC) begins, in SQL.
const nextMonth = `(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'`

// putOffTx has a top-up wait until a time, an expression of SQL, after which the
// dip may be over.
func putOffTx(ctx context.Context, tx pgx.Tx, d *due, reason, until string) error {
	d.step = wait
	_, err := tx.Exec(ctx, `
		UPDATE credits.top_ups
		SET reason = $3, due_at = `+until+`
		WHERE id = $1
			AND account_id = $2`, d.ID, d.AccountID, reason)
	return err
}

// postponeTx has a top-up looked at again after a while. An empty reason leaves it.
func postponeTx(ctx context.Context, tx pgx.Tx, d *due, reason string, pause time.Duration) error {
	_, err := tx.Exec(ctx, `
		UPDATE credits.top_ups
		SET reason = coalesce(nullif($3, ''), reason), due_at = clock_timestamp() + $4::interval
		WHERE id = $1
			AND account_id = $2
			AND state IN ('open', 'confirm')`, d.ID, d.AccountID, reason, pause)
	return err
}

// buyerOf is who bought on the account of an organisation; a user's own needs none.
func buyerOf(account, userID string) string {
	if creditcore.OrganizationOf(account) == "" {
		return ""
	}
	return userID
}
