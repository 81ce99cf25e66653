package creditcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// AlertKind is what an alert is about.
type AlertKind string

// The kinds.
const (
	// AlertLow tells of a balance below the threshold. Balance and Threshold.
	AlertLow AlertKind = "low"
	// AlertExhausted tells of a price that the balance did not cover. Balance
	// and Required.
	AlertExhausted AlertKind = "exhausted"
	// AlertExpiring tells of credits that end soon. Credits and ExpiresAt, the
	// first end of several.
	AlertExpiring AlertKind = "expiring"
	// AlertBudget tells that the budget of an API key, or what is allotted to a
	// member, is spent. Budget, Period, UserID and, of a key, KeyID.
	AlertBudget AlertKind = "budget"
	// AlertPurchased tells of credits that were bought. Credits.
	AlertPurchased AlertKind = "purchased"
	// AlertDebt tells that money went back for credits that were spent. Credits.
	AlertDebt AlertKind = "debt"
	// AlertRenewalFailed tells that a subscription was not paid.
	AlertRenewalFailed AlertKind = "renewal_failed"

	// What follows tells of the automatic top-up, see package topup.

	// AlertToppedUp tells what it bought. Credits and EuroCents.
	AlertToppedUp AlertKind = "topped_up"
	// AlertTopUpConfirm asks to confirm its payment with the bank. Credits and
	// EuroCents.
	AlertTopUpConfirm AlertKind = "top_up_confirm"
	// AlertTopUpFailed tells that the card was declined; it is tried again.
	// Credits and EuroCents.
	AlertTopUpFailed AlertKind = "top_up_failed"
	// AlertTopUpCapped tells that the month has no room for it. CapEuroCents.
	AlertTopUpCapped AlertKind = "top_up_capped"
	// AlertTopUpOff tells that it switched itself off. Reason.
	AlertTopUpOff AlertKind = "top_up_off"
)

// AlertKinds are all kinds.
func AlertKinds() []AlertKind {
	return []AlertKind{AlertLow, AlertExhausted, AlertExpiring, AlertBudget, AlertPurchased, AlertDebt, AlertRenewalFailed,
		AlertToppedUp, AlertTopUpConfirm, AlertTopUpFailed, AlertTopUpCapped, AlertTopUpOff}
}

// Alert is something that the owner of an account is told of it. UserID is whom
// alone it concerns, nil for whoever has the account.
type Alert struct {
	ID        string
	AccountID string
	UserID    *string
	Kind      AlertKind
	Data      json.RawMessage
	CreatedAt time.Time
}

// AlertData are the numbers of an alert; which there are its kind says.
type AlertData struct {
	Balance   *Amount    `json:"balance,omitempty"`
	Threshold *Amount    `json:"threshold,omitempty"`
	Required  *Amount    `json:"required,omitempty"`
	Credits   *Amount    `json:"credits,omitempty"`
	Budget    *Amount    `json:"budget,omitempty"`
	Period    Period     `json:"period,omitempty"`
	KeyID     string     `json:"keyId,omitempty"`
	UserID    string     `json:"userId,omitempty"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	// EuroCents is what a top-up costs, CapEuroCents what it may cost a month, and
	// Reason why it is off.
	EuroCents    int64  `json:"euroCents,omitempty"`
	CapEuroCents int64  `json:"capEuroCents,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

// Numbers reads the data of an alert.
func (a Alert) Numbers() (d AlertData, err error) {
	err = json.Unmarshal(a.Data, &d)
	return d, err
}

const (
	alertColumns = `l.id, l.account_id, l.user_id, l.kind, l.data, l.created_at`
	// tellLimit bounds the alerts of one transaction.
	tellLimit = 100
	// keepAlerts is how long alerts are shown.
	keepAlerts = 90 * 24 * time.Hour
	// maxAlerts bounds the alerts of one answer.
	maxAlerts = 100
)

// TellAlerts hands each alert that nobody was told of to tell, in the scope of the
// system and the transaction that notes that it was told, and returns how many
// there were. Of any number of edges one tells each.
func (s *Service) TellAlerts(ctx context.Context, tell func(context.Context, pgx.Tx, Alert) error) (total int, err error) {
	for ctx.Err() == nil {
		n := 0
		err = s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx,
				`SELECT `+alertColumns+`
				 FROM credits.alerts AS l
				 WHERE l.told_at IS NULL
				 ORDER BY l.created_at
				 LIMIT $1
				 FOR UPDATE SKIP LOCKED`, tellLimit)
			if err != nil {
				return err
			}
			list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Alert])
			if err != nil {
				return err
			}
			ids := make([]string, len(list))
			for i, a := range list {
				ids[i] = a.ID
				if err := tell(ctx, tx, a); err != nil {
					return err
				}
			}
			n = len(list)
			_, err = tx.Exec(ctx, `UPDATE credits.alerts SET told_at = now() WHERE id = ANY ($1)`, ids)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < tellLimit {
			break
		}
	}
	return total, nil
}

// Alerts are the newest alerts of an account, up to limit, 1 to 100, that the
// caller may see: such as concern another member alone are for owners and admins.
func (s *Service) Alerts(ctx context.Context, c Caller, limit int) ([]Alert, error) {
	return dbscope.List[Alert](ctx, s.db, c.scope(),
		`SELECT `+alertColumns+`
		 FROM credits.alerts AS l
		 WHERE l.account_id = $1
		 ORDER BY l.created_at DESC, l.id DESC
		 LIMIT $2`, c.Account(), min(max(limit, 1), maxAlerts))
}

// AlertQuery asks for a page of alerts, newest first, of those that it names alone.
type AlertQuery struct {
	Kind      AlertKind
	AccountID string
	UserID    string // whom alone they concern
	Before    keyset.Cursor
	Limit     int
}

// ListedAlert is an alert with who has its account. Owner is the address of a user, or the
// name of an organisation, and UserEmail the address of whom alone it concerns: empty where
// there is none.
type ListedAlert struct {
	Alert
	Owner, UserEmail string
}

// AlertPage lists alerts of any account, for operators, and returns the cursor of the next
// page.
func (s *Service) AlertPage(ctx context.Context, q AlertQuery) ([]ListedAlert, keyset.Cursor, error) {
	var w keyset.Where
	for _, f := range []struct{ column, value string }{{"kind", string(q.Kind)}, {"account_id", q.AccountID}, {"user_id", q.UserID}} {
		if f.value != "" {
			w.And(`l.`+f.column+` = ?`, f.value)
		}
	}
	w.Before("l", q.Before)
	list, err := dbscope.List[ListedAlert](ctx, s.db, dbscope.System(),
		`SELECT `+alertColumns+`, coalesce(u.email, o.name, '') AS owner, coalesce(m.email, '') AS user_email
		 FROM credits.alerts AS l
		 LEFT JOIN auth.users AS u ON u.id = l.account_id
		 LEFT JOIN auth.organizations AS o ON o.id = substr(l.account_id, 5) AND starts_with(l.account_id, 'org:')
		 LEFT JOIN auth.users AS m ON m.id = l.user_id`+w.String()+keyset.Newest("l")+` LIMIT `+w.Arg(q.Limit+1), w.Args()...)
	list, next := keyset.Cut(list, q.Limit, func(a ListedAlert) keyset.Cursor { return keyset.Cursor{At: a.CreatedAt, ID: a.ID} })
	return list, next, err
}

// CountAlerts counts the alerts of some kinds since a time, for operators: up to most of
// each, so that it takes no longer the more there are.
func (s *Service) CountAlerts(ctx context.Context, since time.Time, most int, kinds ...AlertKind) (map[AlertKind]int, error) {
	type row struct {
		Kind AlertKind
		N    int
	}
	rows, err := dbscope.List[row](ctx, s.db, dbscope.System(),
		`SELECT k.kind, (SELECT count(*) FROM (
			SELECT FROM credits.alerts AS l WHERE l.kind = k.kind AND l.created_at >= $2 LIMIT $3) AS counted) AS n
		 FROM unnest($1::text[]) AS k (kind)`, kinds, since, most)
	counts := make(map[AlertKind]int, len(rows))
	for _, r := range rows {
		counts[r.Kind] = r.N
	}
	return counts, err
}

// LowBalanceSetting names the setting of a session that holds the threshold, in
// thousandths of a credit, of accounts that have none of their own.
const LowBalanceSetting = "mana.low_balance"

// AlertsAbout are all alerts that are kept of a user: those of their own account, and
// such as concern them alone.
func (s *Service) AlertsAbout(ctx context.Context, userID string) ([]Alert, error) {
	return dbscope.List[Alert](ctx, s.db, dbscope.System(),
		`SELECT `+alertColumns+`
		 FROM credits.alerts AS l
		 WHERE l.account_id = $1 OR l.user_id = $1
		 ORDER BY l.created_at DESC, l.id DESC`, userID)
}

// AlertSettings is when an account is told of. LowBalance is the account's own
// threshold: nil is the admin's, zero is none. Default is the admin's, nil where
// that is none.
type AlertSettings struct {
	LowBalance *Amount
	Default    *Amount
}

// AlertSettings reads those of the caller's account.
func (s *Service) AlertSettings(ctx context.Context, c Caller) (AlertSettings, error) {
	type row struct{ LowBelow *Amount }
	set := AlertSettings{}
	if s.cfg.LowBalance > 0 {
		set.Default = &s.cfg.LowBalance
	}
	r, err := dbscope.One[row](ctx, s.db, dbscope.System(), `SELECT b.low_below FROM credits.balances AS b WHERE b.user_id = $1`, c.Account())
	if errors.Is(err, pgx.ErrNoRows) {
		return set, nil
	}
	set.LowBalance = r.LowBelow
	return set, err
}

// SetLowBalance sets the threshold of the caller's account, nil for the admin's,
// and has a balance that is below it told of again, at the next charge. It fails
// with [ErrInvalid] below zero and above [MaxAmount], with [ErrAccountNotFound], and
// with [ErrToppedUp] while the threshold is that of an automatic top-up. That the caller manages the account is for the caller of
// this to see to.
func (s *Service) SetLowBalance(ctx context.Context, c Caller, threshold *Amount) error {
	if threshold != nil && (*threshold < 0 || *threshold > MaxAmount) {
		return ErrInvalid
	}
	if err := s.openAccount(ctx, c.Account()); err != nil {
		return err
	}
	var value *int64
	if threshold != nil {
		n := int64(*threshold)
		value = &n
	}
	n, err := s.db.Exec(ctx, dbscope.System(),
		`UPDATE credits.balances AS b SET low_below = $2, low_told = NULL
		 WHERE b.user_id = $1
		   AND NOT EXISTS (SELECT FROM credits.top_up_settings AS t WHERE t.account_id = $1 AND t.enabled)`, c.Account(), value)
	if err != nil || n > 0 {
		return err
	}
	switch _, err = dbscope.One[struct{ Found bool }](ctx, s.db, dbscope.System(), `SELECT true AS found FROM credits.balances AS b WHERE b.user_id = $1`, c.Account()); {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrAccountNotFound
	case err != nil:
		return err
	}
	return ErrToppedUp
}

// EraseTx forgets what the owner of an account that ends was told, and when they
// were to be. The ledger stays.
func (s *Service) EraseTx(ctx context.Context, tx pgx.Tx, account string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM credits.alerts AS l WHERE l.account_id = $1 OR l.user_id = $1`, account); err != nil {
		return dbError(err)
	}
	_, err := tx.Exec(ctx, `UPDATE credits.balances AS b SET low_below = NULL WHERE b.user_id = $1`, account)
	return dbError(err)
}

// pruneAlerts deletes alerts that are old. Those of budgets that never begin anew
// stay, or they would be told again.
func (s *Service) pruneAlerts(ctx context.Context) {
	s.round(ctx, "prune alerts", pruneLimit,
		`WITH old AS (
			DELETE FROM credits.alerts WHERE id IN (
				SELECT l.id FROM credits.alerts AS l
				WHERE l.created_at < now() - $2::interval AND l.told_at IS NOT NULL AND coalesce(l.name, '') NOT LIKE '%:total'
				ORDER BY l.created_at LIMIT $1 FOR UPDATE SKIP LOCKED)
			RETURNING 1)
		SELECT count(*) AS n FROM old`, pruneLimit, keepAlerts)
}
