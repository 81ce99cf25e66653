package services

import (
	"context"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/creditcore"
)

// alertEvery is how soon an alert of the ledger becomes a mail.
const alertEvery = 2 * time.Second

// alertNotices are the mails of the alerts.
var alertNotices = map[creditcore.AlertKind]notice.Kind{
	creditcore.AlertLow:           notice.CreditsLow,
	creditcore.AlertExhausted:     notice.CreditsExhausted,
	creditcore.AlertExpiring:      notice.CreditsExpiring,
	creditcore.AlertBudget:        notice.BudgetReached,
	creditcore.AlertPurchased:     notice.CreditsPurchased,
	creditcore.AlertDebt:          notice.DebtMade,
	creditcore.AlertRenewalFailed: notice.RenewalFailed,
}

// tellAlerts mails what the ledger has to tell until ctx ends.
func (c Cores) tellAlerts(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(alertEvery)
	defer tick.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			told, err := c.Credits.TellAlerts(ctx, func(ctx context.Context, tx pgx.Tx, a creditcore.Alert) error {
				return c.tellAlert(ctx, tx, a, log)
			})
			if told > 0 {
				c.Auth.WakeMailer()
			}
			if err != nil && ctx.Err() == nil && !away {
				log.Warn("mail what happened to credits; it is tried again", "error", err)
			}
			away = err != nil
		}
	}
}

// tellAlert mails an alert to whom it concerns: one member, the user whose account
// it is, or the owners and admins of the organisation.
func (c Cores) tellAlert(ctx context.Context, tx pgx.Tx, a creditcore.Alert, log *slog.Logger) error {
	kind, known := alertNotices[a.Kind]
	numbers, err := a.Numbers()
	if err != nil || !known {
		log.Error("an alert of the ledger cannot be told", "alert", a.ID, "kind", a.Kind, "error", err)
		return nil // no further try reads it
	}
	told := notice.Credits{OrganizationID: creditcore.OrganizationOf(a.AccountID)}
	to := []string{a.AccountID}
	if told.OrganizationID != "" {
		var managing authcore.Managing
		if managing, err = c.Auth.ManagingTx(ctx, tx, told.OrganizationID); err != nil {
			return err
		}
		told.Organization, to = managing.Name, managing.Managers
	}
	if a.UserID != nil {
		to = []string{*a.UserID}
	}
	if numbers.KeyID != "" {
		if told.Key, err = c.Auth.APIKeyNameTx(ctx, tx, numbers.KeyID); err != nil {
			return err
		}
	}
	told.Amount, told.Limit = written(numbers.Balance, numbers.Credits), written(numbers.Threshold, numbers.Required, numbers.Budget)
	if numbers.ExpiresAt != nil {
		told.Ends = *numbers.ExpiresAt
	}
	for _, userID := range to {
		if _, err := c.Auth.TellTx(ctx, tx, notice.Notice{Kind: kind, UserID: userID, Credits: told, At: a.CreatedAt}); err != nil {
			return err
		}
	}
	return nil
}

// written is the amount that there is, empty for none.
func written(list ...*creditcore.Amount) string {
	for _, a := range list {
		if a != nil {
			return a.String()
		}
	}
	return ""
}

// creditsLink is where a mail about credits leads to. Plain members have no page of
// their organisation's account but of the organisation.
func (m *Mailing) creditsLink(n notice.Notice) string {
	var query url.Values
	if n.Credits.OrganizationID != "" {
		query = url.Values{"organization": {n.Credits.OrganizationID}}
	}
	switch {
	case n.Kind == notice.RenewalFailed:
		return m.link("/account/credits/buy", query)
	case n.Kind == notice.BudgetReached && n.Credits.OrganizationID != "":
		return m.link("/account/organizations/"+url.PathEscape(n.Credits.OrganizationID), nil)
	}
	return m.link("/account/credits", query)
}

// ofCredits reports whether a mail is about an account of credits.
func ofCredits(k notice.Kind) bool {
	return slices.Contains([]notice.Kind{notice.DebtMade, notice.RenewalFailed}, k) || k.OfCredits()
}
