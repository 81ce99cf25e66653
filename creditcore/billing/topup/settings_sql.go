package topup

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
)

// settingsRow is an account's settings and what is under way. Missing texts are
// empty.
type settingsRow struct {
	Enabled         bool
	Threshold       *creditcore.Amount
	PackageID       string
	PriceEuroCents  int64
	MonthlyCap      int64
	Spent           int64
	PaymentMethodID string
	Brand, Last4    string
	ExpMonth        int
	ExpYear         int
	OffReason       string
	RunningID       string
	RunningConfirm  bool
	RunningReason   string
	RunningPrice    int64
}

// spentSQL is what the month (UTC) took of an account's cap so far: each top-up of which
// a condition is true that was ordered and has not ended without a purchase.
func spentSQL(which string) string {
	return `coalesce((
		SELECT sum(m.price_euro_cents)
		FROM credits.top_ups AS m
		WHERE m.account_id = s.account_id
			AND ` + which + `
			AND m.state <> 'ended'
			AND m.ordered_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'), 0)::bigint`
}

var settingsSQL = `
	SELECT s.enabled, b.low_below AS threshold, coalesce(s.package_id, '') AS package_id, coalesce(s.price_euro_cents, 0) AS price_euro_cents,
		coalesce(s.monthly_cap_cents, 0) AS monthly_cap, ` + spentSQL(`true`) + ` AS spent,
		CASE WHEN s.card_livemode = $2 THEN coalesce(s.payment_method_id, '') ELSE '' END AS payment_method_id,
		coalesce(s.card_brand, '') AS brand, coalesce(s.card_last4, '') AS last4,
		coalesce(s.card_exp_month, 0) AS exp_month, coalesce(s.card_exp_year, 0) AS exp_year, coalesce(s.off_reason, '') AS off_reason,
		coalesce(t.id, '') AS running_id, coalesce(t.state = 'confirm', false) AS running_confirm,
		coalesce(t.reason, '') AS running_reason, coalesce(t.price_euro_cents, 0) AS running_price
	FROM credits.top_up_settings AS s
	LEFT JOIN credits.balances AS b ON b.user_id = s.account_id
	LEFT JOIN credits.top_ups AS t ON t.account_id = s.account_id
		AND t.state IN ('open', 'confirm')
	WHERE s.account_id = $1`

func (r settingsRow) settings() Settings {
	s := Settings{
		Enabled: r.Enabled, Threshold: r.Threshold, PackageID: r.PackageID, PriceEuroCents: r.PriceEuroCents,
		MonthlyCap: r.MonthlyCap, Spent: r.Spent, OffReason: r.OffReason,
	}
	if r.PaymentMethodID != "" {
		s.Card = &Card{Brand: r.Brand, Last4: r.Last4, ExpMonth: r.ExpMonth, ExpYear: r.ExpYear, paymentMethod: r.PaymentMethodID}
	}
	if r.RunningID != "" {
		s.Running = &Running{ID: r.RunningID, Confirm: r.RunningConfirm, Reason: r.RunningReason, PriceEuroCents: r.RunningPrice}
	}
	return s
}

// switchOffTx switches it off, for a reason of its own or, with none, as its owner
// wishes, and has what is under way end.
func switchOffTx(ctx context.Context, tx pgx.Tx, account, reason string) error {
	if _, err := tx.Exec(ctx, `
		UPDATE credits.top_up_settings
		SET enabled = false, off_reason = nullif($2, ''), updated_at = now()
		WHERE account_id = $1`, account, reason); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE credits.top_ups
		SET due_at = clock_timestamp()
		WHERE account_id = $1
			AND state IN ('open', 'confirm')`, account)
	return err
}
