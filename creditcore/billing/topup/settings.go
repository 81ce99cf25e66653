package topup

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// Settings are what the owner of an account agreed to, and how it stands. Money is
// in euro cents.
type Settings struct {
	Enabled bool
	// Threshold is that of the account's alerts: a balance below it is topped up.
	Threshold *creditcore.Amount
	// PackageID is empty where none was chosen; PriceEuroCents is what it cost then.
	PackageID      string
	PriceEuroCents int64
	// MonthlyCap is zero where none was set; Spent is what this month (UTC) took of it.
	MonthlyCap, Spent int64
	// Card is nil where none is saved.
	Card *Card
	// OffReason is why it switched itself off: declined, unconfirmed, card or
	// package; empty where its owner did, or it is on.
	OffReason string
	// Running is the top-up that is under way, nil without one.
	Running *Running
}

// Card is a saved card, as far as it is shown.
type Card struct {
	Brand, Last4      string
	ExpMonth, ExpYear int
	paymentMethod     string // Stripe's id of it
}

// Running is a top-up that is under way. Confirm is set where it waits for its
// owner; else Reason says what it waits for: cap, daily, processing, declined,
// stripe, or nothing.
type Running struct {
	ID             string
	Confirm        bool
	Reason         string
	PriceEuroCents int64 // zero before it is ordered
}

// Change is what an owner agrees to, or with Enabled false takes back.
type Change struct {
	Enabled    bool
	Threshold  creditcore.Amount
	PackageID  string
	MonthlyCap int64 // euro cents
}

// Raises reports whether a change lets more money be taken than was agreed to
// before: that wants a recent proof of who asks for it.
func (s Settings) Raises(c Change) bool {
	return c.Enabled && (!s.Enabled || s.PackageID != c.PackageID || c.MonthlyCap > s.MonthlyCap || s.Threshold == nil || c.Threshold > *s.Threshold)
}

// TopUp reads the settings of the caller's account. That the caller manages it is
// for the caller of this to see to.
func (s *Service) TopUp(ctx context.Context, c creditcore.Caller) (Settings, error) {
	return s.TopUpOf(ctx, c.Account())
}

// TopUpOf is TopUp for operators.
func (s *Service) TopUpOf(ctx context.Context, account string) (Settings, error) {
	r, err := dbscope.One[settingsRow](ctx, s.db, dbscope.System(), settingsSQL, account, s.live())
	if errors.Is(err, pgx.ErrNoRows) {
		return Settings{}, nil
	}
	return r.settings(), err
}

// Past is a top-up, the id of whose purchase is its own. State is open, confirm,
// bought or ended, and Reason why it waits or ended.
type Past struct {
	ID, State, Reason string
	PriceEuroCents    int64 // zero where nothing was ordered
	CreatedAt         time.Time
}

// TopUps are the newest of an account, up to limit, for operators.
func (s *Service) TopUps(ctx context.Context, account string, limit int) ([]Past, error) {
	return dbscope.List[Past](ctx, s.db, dbscope.System(), `
		SELECT t.id, t.state, coalesce(t.reason, '') AS reason, coalesce(t.price_euro_cents, 0) AS price_euro_cents, t.created_at
		FROM credits.top_ups AS t
		WHERE t.account_id = $1
		ORDER BY t.created_at DESC, t.id DESC
		LIMIT $2`, account, limit)
}

// SetTopUp stores what an owner agrees to. An account that is low already is topped
// up at once. It fails with [stripeapi.ErrNotConfigured], [ErrNoCard],
// [catalog.ErrPackageNotFound], [ErrThreshold], [ErrCap] or
// [creditcore.ErrAccountNotFound]. That the caller manages the account, and has
// proven who they are, is for the caller of this to see to.
func (s *Service) SetTopUp(ctx context.Context, c creditcore.Caller, to Change) error {
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error { return s.setTx(ctx, tx, c, to) })
}

func (s *Service) setTx(ctx context.Context, tx pgx.Tx, c creditcore.Caller, to Change) error {
	account := c.Account()
	if !to.Enabled {
		if err := s.ledger.LockTx(ctx, tx, account); err != nil {
			return err
		}
		return switchOffTx(ctx, tx, account, "")
	}
	if s.stripe == nil {
		return stripeapi.ErrNotConfigured
	}
	pack, err := s.catalog.PackageForSaleTx(ctx, tx, to.PackageID)
	switch {
	case err != nil:
		return err
	case to.Threshold <= 0 || to.Threshold > pack.Credits:
		return ErrThreshold
	case to.MonthlyCap < pack.PriceEuroCents || to.MonthlyCap > mostCap:
		return ErrCap
	}
	return s.agreeTx(ctx, tx, c, to, pack)
}

// mostCap bounds a cap, in cents: what fits a payment of Stripe.
const mostCap = 99_999_999

// agreeTx switches it on, under the lock of the account.
func (s *Service) agreeTx(ctx context.Context, tx pgx.Tx, c creditcore.Caller, to Change, pack catalog.Package) error {
	account := c.Account()
	if err := s.ledger.OpenTx(ctx, tx, account); err != nil {
		return err
	}
	if err := s.ledger.LockTx(ctx, tx, account); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `
		UPDATE credits.top_up_settings AS s
		SET enabled = true, user_id = @user_id, package_id = @package_id, price_euro_cents = @price, monthly_cap_cents = @cap,
			agreed_at = now(), failures = 0, off_reason = NULL, updated_at = now()
		WHERE s.account_id = @account
			AND s.payment_method_id IS NOT NULL
			AND s.card_livemode = @live
			AND `+functions.Schema+`.lives(@account)`, pgx.StrictNamedArgs{
		"account": account, "user_id": c.UserID, "package_id": pack.ID, "price": pack.PriceEuroCents, "cap": to.MonthlyCap, "live": s.live(),
	})
	if err != nil {
		return err
	}
	if n.RowsAffected() == 0 {
		return ErrNoCard
	}
	// What waits is tried by the new terms.
	if _, err := tx.Exec(ctx, `
		UPDATE credits.top_ups
		SET due_at = clock_timestamp()
		WHERE account_id = $1
			AND state = 'open'
			AND reason IS DISTINCT FROM 'processing'`, account); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT `+functions.Schema+`.note_low($1, $2)`, account, int64(to.Threshold))
	return err
}

// live is the mode we work in.
func (s *Service) live() bool { return s.stripe != nil && s.stripe.Live() }
