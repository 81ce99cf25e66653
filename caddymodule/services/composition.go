package services

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	mail "mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/guest"
)

const (
	// giftWait bounds how long a registration waits for gifts to arrive.
	giftWait = 5 * time.Second
	// cancelWait bounds the end of a subscription.
	cancelWait = time.Minute
)

// accountHooks composes what happens in both cores when an account begins or ends.
type accountHooks struct {
	ledger  *creditcore.Service
	gifts   *gift.Service
	coupons *coupon.Service
	guests  *guest.Service
	abuse   *abuse.Service
	sales   *billing.Service
	apps    AppData
	log     *slog.Logger
	// redeemUnverified: gifts for an address go to whoever registers it.
	redeemUnverified bool
	// later runs work in the background; ctx ends with the process.
	later func(work func(ctx context.Context))
}

func (a accountHooks) hooks() authcore.Hooks {
	return authcore.Hooks{RegisterTx: a.open, RegisterAgainTx: a.spendWallet, Registered: a.welcome, Verified: a.verified, EraseTx: a.erase, Deleted: a.close, SeatsTx: a.sales.SeatsTx, DissolveTx: a.ledger.CloseTx, Dissolved: a.dissolved}
}

// open gives a new user a balance and promises the trial, and what they have left as a
// guest, in the transaction that makes the account.
func (a accountHooks) open(ctx context.Context, tx pgx.Tx, u authcore.User, client principal.Client) error {
	if err := a.ledger.OpenTx(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.coupons.PromiseTx(ctx, tx, u.ID); err != nil {
		return err
	}
	return a.guests.PromiseTx(ctx, tx, u.ID, walletOf(client))
}

// spendWallet does to the wallet of a guest what open does, where no account is made.
func (a accountHooks) spendWallet(ctx context.Context, tx pgx.Tx, client principal.Client) error {
	return a.guests.VoidTx(ctx, tx, walletOf(client))
}

func walletOf(client principal.Client) guest.Wallet {
	return guest.Wallet{Device: client.Guest, Network: request.NetworkOf(client.IP)}
}

// welcome gives a new user what waits for their address, where that is proven
// or need not be.
func (a accountHooks) welcome(ctx context.Context, u authcore.User) {
	switch {
	case u.EmailVerified:
		a.verified(ctx, u)
	case a.redeemUnverified:
		a.redeem(ctx, u)
	}
}

// verified gives a user whose address is proven the trial, what they had left as a guest,
// and what waits for the address. What fails here is given by the rounds of coupons and
// guests.
func (a accountHooks) verified(ctx context.Context, u authcore.User) {
	bounded, cancel := context.WithTimeout(ctx, giftWait)
	defer cancel()
	if _, err := a.coupons.GiveTrial(bounded, u.ID); err != nil {
		a.log.Warn("give a new account its trial; it is tried again", "user", u.ID, "error", err)
	}
	if _, err := a.guests.Give(bounded, u.ID); err != nil {
		a.log.Warn("give a new account what its guest had left; it is tried again", "user", u.ID, "error", err)
	}
	a.redeem(ctx, u)
}

// mailboxOf reads an address for coupons.
func mailboxOf(address string) coupon.Mailbox { return coupon.Mailbox(mail.MailboxOf(address)) }

// recordTrialTx notes among the events of an account that it was given a trial.
func recordTrialTx(ctx context.Context, tx pgx.Tx, userID string, credits creditcore.Amount) error {
	return audit.RecordTx(ctx, tx, audit.Event{Type: "trial_granted", UserID: userID, Metadata: map[string]any{"credits": credits}})
}

// recordGuestTx notes among the events of an account that it was given what its guest had
// left.
func recordGuestTx(ctx context.Context, tx pgx.Tx, userID string, credits creditcore.Amount) error {
	return audit.RecordTx(ctx, tx, audit.Event{Type: "guest_granted", UserID: userID, Metadata: map[string]any{"credits": credits}})
}

// heldTx is what is asked in the transaction of a gift before it is made: whether the
// gifting of the account is held.
func heldTx(holds *abuse.Service) func(context.Context, pgx.Tx, string) (bool, error) {
	return holds.HeldTx
}

// recordHoldTx notes among the events of an account that its gifting is held, or is
// not any more. The score is not told: whoever is scored must not learn how.
func recordHoldTx(ctx context.Context, tx pgx.Tx, userID string, held bool) error {
	what := "gifting_released"
	if held {
		what = "gifting_held"
	}
	return audit.RecordTx(ctx, tx, audit.Event{Type: what, UserID: userID, By: principal.Operator{Name: abuse.Edge}})
}

// redeem redeems the gifts that are meant for a user's address. Whatever
// becomes of them, the account stands.
func (a accountHooks) redeem(ctx context.Context, u authcore.User) {
	ctx, cancel := context.WithTimeout(ctx, giftWait)
	defer cancel()
	if n := a.gifts.AutoRedeem(ctx, u.ID, u.Email); n > 0 {
		a.log.Info("redeemed the gifts that waited for an address", "user", u.ID, "gifts", n)
	}
}

// erase takes a user who leaves out of gifts, payments, scores and alerts, and has the back ends
// of apps do the same. The ledger stays.
func (a accountHooks) erase(ctx context.Context, tx pgx.Tx, u authcore.User) error {
	if err := a.gifts.EraseTx(ctx, tx, u.ID, u.Email); err != nil {
		return err
	}
	if err := a.coupons.EraseTx(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.guests.EraseTx(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.abuse.EraseTx(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.apps.putTx(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.ledger.EraseTx(ctx, tx, u.ID); err != nil {
		return err
	}
	return a.sales.EraseTx(ctx, tx, u.ID)
}

// Grant gives an account credits as an operator does: the row of the ledger and the
// events of who gave them and why stand or fall together.
func (c Cores) Grant(ctx context.Context, op principal.Operator, g creditcore.Grant) (receipt creditcore.Receipt, err error) {
	given := audit.Event{Type: "credits_granted", UserID: g.UserID, By: op, Metadata: map[string]any{"credits": g.Amount}}
	err = c.Auth.Audited(ctx, given, func(ctx context.Context, tx pgx.Tx) error {
		receipt, err = c.Credits.GrantTx(ctx, tx, g)
		if err == nil && receipt.Replayed {
			err = errReplayed
		}
		return err
	})
	if errors.Is(err, errReplayed) {
		err = nil // nothing was given, and nothing is recorded
	}
	return receipt, err
}

// Forgive writes off what an account owes, as an operator does, with the events of
// who did it and why. Where nothing is owed, nothing is recorded.
func (c Cores) Forgive(ctx context.Context, op principal.Operator, f creditcore.Forgiveness) (forgiven creditcore.Amount, err error) {
	metadata := map[string]any{}
	err = c.Auth.Audited(ctx, audit.Event{Type: "debt_forgiven", UserID: f.UserID, By: op, Metadata: metadata}, func(ctx context.Context, tx pgx.Tx) error {
		if forgiven, _, err = c.Credits.ForgiveTx(ctx, tx, f); err != nil {
			return err
		}
		if metadata["credits"] = forgiven; forgiven == 0 {
			return errNothingOwed
		}
		return nil
	})
	if errors.Is(err, errNothingOwed) {
		err = nil
	}
	return forgiven, err
}

// PublishPrices publishes prices as an operator does: the version and the event of who
// published it stand or fall together.
func (c Cores) PublishPrices(ctx context.Context, op principal.Operator, d creditcore.PriceDraft) (v creditcore.PriceVersion, err error) {
	d.By, d.Reason = op.Name, op.Reason
	metadata := map[string]any{}
	err = c.Auth.Audited(ctx, audit.Event{Type: "prices_published", By: op, Metadata: metadata}, func(ctx context.Context, tx pgx.Tx) (err error) {
		v, err = c.Credits.PublishPricesTx(ctx, tx, d)
		metadata["version"], metadata["effectiveAt"] = v.Version, v.EffectiveAt.UTC()
		return err
	})
	return v, err
}

// WithdrawPrices takes back a version that is still to come, as an operator does, with the
// event of who did it.
func (c Cores) WithdrawPrices(ctx context.Context, op principal.Operator, version int64) error {
	return c.Auth.Audited(ctx, audit.Event{Type: "prices_withdrawn", By: op, Metadata: map[string]any{"version": version}}, func(ctx context.Context, tx pgx.Tx) error {
		return c.Credits.WithdrawPricesTx(ctx, tx, version, op.Name, op.Reason)
	})
}

var errNothingOwed = errors.New("the account owes nothing")

var errReplayed = errors.New("the grant was made before")

// close ends the subscriptions of a user who has left, in the background: an
// account is deleted also while Stripe is away. His ledger stays. What fails
// here is made up for by the rounds of billing.
func (a accountHooks) close(_ context.Context, userID string) {
	a.later(func(process context.Context) {
		ctx, cancel := context.WithTimeout(process, cancelWait)
		defer cancel()
		if err := a.sales.CancelForUser(ctx, userID); err != nil && process.Err() == nil {
			a.log.Warn("end the subscriptions of a deleted account; it is tried again", "user", userID, "error", err)
		}
	})
}

// dissolved is close for an organisation.
func (a accountHooks) dissolved(ctx context.Context, organizationID string) {
	a.close(ctx, creditcore.OrganizationAccount(organizationID))
}

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
	creditcore.AlertToppedUp:      notice.ToppedUp,
	creditcore.AlertTopUpConfirm:  notice.TopUpConfirm,
	creditcore.AlertTopUpFailed:   notice.TopUpFailed,
	creditcore.AlertTopUpCapped:   notice.TopUpCapped,
	creditcore.AlertTopUpOff:      notice.TopUpOff,
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
	told.Price, told.Reason = euro(max(numbers.EuroCents, numbers.CapEuroCents)), numbers.Reason
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
