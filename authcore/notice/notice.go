package notice

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/preference"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/twofactor"
)

// Kind is what a mail is about.
type Kind string

// The kinds. Those with a link carry its token.
const (
	// VerifyEmail asks to confirm an address. Token.
	VerifyEmail Kind = "verify_email"
	// ResetPassword leads to another password. Token.
	ResetPassword Kind = "reset_password"
	// PasswordChanged tells that the password is another now.
	PasswordChanged Kind = "password_changed"
	// AccountExists tells the owner of an address that somebody wanted to
	// make an account with it.
	AccountExists Kind = "account_exists"
	// MagicLink signs somebody in. Token and Code.
	MagicLink Kind = "magic_link"
	// ConfirmAddress asks to confirm the address that an account is to have.
	// Token.
	ConfirmAddress Kind = "confirm_address"
	// AddressChanging tells the address that an account had: without a token
	// that another was asked for, with one that it is changed, and how to undo it.
	AddressChanging Kind = "address_changing"
	// AddressChangeUndone tells that the account has this address again.
	AddressChangeUndone Kind = "address_change_undone"
	// FactorAdded and FactorRemoved tell of the second factor. Factor.
	FactorAdded   Kind = "factor_added"
	FactorRemoved Kind = "factor_removed"
	// AccountInvitation invites somebody who has no account yet. Token.
	AccountInvitation Kind = "account_invitation"
	// AccountDeleted is the receipt of who has left.
	AccountDeleted Kind = "account_deleted"
	// NewDevice tells of a sign-in from a device that has not signed in
	// before. The user can switch it off.
	NewDevice Kind = "new_device"
	// AccountLocked tells that nobody can sign in for a while, after too many
	// wrong passwords or codes.
	AccountLocked Kind = "account_locked"
	// Invitation invites somebody, who need not have an account, into an
	// organisation. Invitation.
	Invitation Kind = "invitation"
	// BackupCodesRenewed tells that the codes before are worth nothing.
	BackupCodesRenewed Kind = "backup_codes_renewed"

	// What follows tells of an account of credits. Credits.

	// CreditsLow tells of a balance below its threshold.
	CreditsLow Kind = "credits_low"
	// CreditsExhausted tells of a price that the balance did not cover.
	CreditsExhausted Kind = "credits_exhausted"
	// CreditsExpiring tells of credits that end soon.
	CreditsExpiring Kind = "credits_expiring"
	// CreditsPurchased tells of credits that were bought.
	CreditsPurchased Kind = "credits_purchased"
	// BudgetReached tells that a budget is spent: of an API key, or of a member.
	BudgetReached Kind = "budget_reached"
	// DebtMade tells that money went back for credits that were spent.
	DebtMade Kind = "debt_made"
	// RenewalFailed tells that a subscription was not paid.
	RenewalFailed Kind = "renewal_failed"

	// What follows tells of an automatic top-up of it.

	// ToppedUp tells what it bought, and for how much.
	ToppedUp Kind = "topped_up"
	// TopUpConfirm asks to confirm its payment with the bank.
	TopUpConfirm Kind = "top_up_confirm"
	// TopUpFailed tells that the card was declined; it is tried again.
	TopUpFailed Kind = "top_up_failed"
	// TopUpCapped tells that the month has no room for it. Price is the cap.
	TopUpCapped Kind = "top_up_capped"
	// TopUpOff tells that it switched itself off. Reason.
	TopUpOff Kind = "top_up_off"
)

// Kinds are all kinds.
func Kinds() []Kind {
	return []Kind{
		VerifyEmail, ResetPassword, PasswordChanged, AccountExists, MagicLink, ConfirmAddress,
		AddressChanging, AddressChangeUndone, FactorAdded, FactorRemoved, BackupCodesRenewed,
		AccountDeleted, NewDevice, AccountLocked, Invitation, AccountInvitation,
		CreditsLow, CreditsExhausted, CreditsExpiring, CreditsPurchased, BudgetReached, DebtMade, RenewalFailed,
		ToppedUp, TopUpConfirm, TopUpFailed, TopUpCapped, TopUpOff,
	}
}

// OfCredits reports whether a mail is one of those about credits that a user can
// do without.
func (k Kind) OfCredits() bool {
	switch k {
	case CreditsLow, CreditsExhausted, CreditsExpiring, CreditsPurchased, BudgetReached:
		return true
	}
	return false
}

// Credits is what a mail tells of an account of credits; amounts have a decimal
// point, and what is empty is left out. OrganizationID is empty for the user's own.
type Credits struct {
	OrganizationID, Organization string
	// Key is the name of the API key whose budget it is.
	Key    string
	Amount string
	Limit  string // threshold, price or budget
	// Ends is when the credits end.
	Ends time.Time
	// Price is in euro, with a decimal point.
	Price string
	// Reason is why a top-up is off: declined, unconfirmed, card or package.
	Reason string
}

// Notice is a mail that something in an account causes. UserID is empty where it
// is to an address without one. RedirectTo is where its
// link leads in the end, a checked origin or empty. Client is where the cause
// came from. Language is what the user has chosen (RFC 5646), empty where that is
// none: then the client's counts.
type Notice struct {
	Kind       Kind
	UserID     string
	To         string
	Name       string
	Token      string
	Code       string
	Factor     twofactor.Kind
	Invitation organization.Invitation
	Credits    Credits
	ValidFor   time.Duration
	RedirectTo string
	Client     principal.Client
	Language   string
	At         time.Time
}

// Mailer takes notices. PutTx keeps one in the transaction of its cause, in the
// scope of the system; Wake says that such a transaction has committed.
type Mailer interface {
	PutTx(ctx context.Context, tx pgx.Tx, n Notice) error
	Wake()
}

// InOwnLanguage hands notices on with the language that their user has chosen.
type InOwnLanguage struct{ Mailer }

// PutTx implements [Mailer].
func (m InOwnLanguage) PutTx(ctx context.Context, tx pgx.Tx, n Notice) (err error) {
	if n.Language == "" && n.UserID != "" {
		if n.Language, err = preference.LanguageTx(ctx, tx, n.UserID); err != nil {
			return err
		}
	}
	return m.Mailer.PutTx(ctx, tx, n)
}

// None is the mailer of who sends none.
type None struct{}

// PutTx implements [Mailer].
func (None) PutTx(context.Context, pgx.Tx, Notice) error { return nil }

// Wake implements [Mailer].
func (None) Wake() {}
