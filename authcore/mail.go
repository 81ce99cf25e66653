package authcore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
)

// NoticeKind is what a mail is about.
type NoticeKind string

// The kinds. Those with a link carry its token.
const (
	// NoticeVerifyEmail asks to confirm an address. Token.
	NoticeVerifyEmail NoticeKind = "verify_email"
	// NoticeResetPassword leads to another password. Token.
	NoticeResetPassword NoticeKind = "reset_password"
	// NoticePasswordChanged tells that the password is another now.
	NoticePasswordChanged NoticeKind = "password_changed"
	// NoticeAccountExists tells the owner of an address that somebody wanted to
	// make an account with it.
	NoticeAccountExists NoticeKind = "account_exists"
	// NoticeMagicLink signs somebody in. Token and Code.
	NoticeMagicLink NoticeKind = "magic_link"
	// NoticeConfirmAddress asks to confirm the address that an account is to have.
	// Token.
	NoticeConfirmAddress NoticeKind = "confirm_address"
	// NoticeAddressChanging tells the address that an account had: without a token
	// that another was asked for, with one that it is changed, and how to undo it.
	NoticeAddressChanging NoticeKind = "address_changing"
	// NoticeAddressChangeUndone tells that the account has this address again.
	NoticeAddressChangeUndone NoticeKind = "address_change_undone"
	// NoticeFactorAdded and NoticeFactorRemoved tell of the second factor. Factor.
	NoticeFactorAdded   NoticeKind = "factor_added"
	NoticeFactorRemoved NoticeKind = "factor_removed"
	// NoticeAccountDeleted is the receipt of who has left.
	NoticeAccountDeleted NoticeKind = "account_deleted"
	// NoticeNewDevice tells of a sign-in from a device that has not signed in
	// before. The user can switch it off.
	NoticeNewDevice NoticeKind = "new_device"
	// NoticeAccountLocked tells that nobody can sign in for a while, after too many
	// wrong passwords or codes.
	NoticeAccountLocked NoticeKind = "account_locked"
	// NoticeInvitation invites somebody, who need not have an account, into an
	// organisation. Invitation.
	NoticeInvitation NoticeKind = "invitation"
	// NoticeBackupCodesRenewed tells that the codes before are worth nothing.
	NoticeBackupCodesRenewed NoticeKind = "backup_codes_renewed"
)

// NoticeKinds are all kinds.
func NoticeKinds() []NoticeKind {
	return []NoticeKind{
		NoticeVerifyEmail, NoticeResetPassword, NoticePasswordChanged, NoticeAccountExists, NoticeMagicLink, NoticeConfirmAddress,
		NoticeAddressChanging, NoticeAddressChangeUndone, NoticeFactorAdded, NoticeFactorRemoved, NoticeBackupCodesRenewed,
		NoticeAccountDeleted, NoticeNewDevice, NoticeAccountLocked, NoticeInvitation,
	}
}

// Notice is a mail that something in an account causes. UserID is empty where it
// is to an address without one. RedirectTo is where its
// link leads in the end, a checked origin or empty. Client is where the cause
// came from. Language is what the user has chosen (RFC 5646), empty where that is
// none: then the client's counts.
type Notice struct {
	Kind       NoticeKind
	UserID     string
	To         string
	Name       string
	Token      string
	Code       string
	Factor     FactorKind
	Invitation organization.Invitation
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

// inOwnLanguage hands notices on with the language that their user has chosen.
type inOwnLanguage struct{ Mailer }

func (m inOwnLanguage) PutTx(ctx context.Context, tx pgx.Tx, n Notice) (err error) {
	if n.Language == "" && n.UserID != "" {
		if n.Language, err = languageTx(ctx, tx, n.UserID); err != nil {
			return err
		}
	}
	return m.Mailer.PutTx(ctx, tx, n)
}

// languageTx is the language that a user has chosen, empty where that is none.
func languageTx(ctx context.Context, tx pgx.Tx, userID string) (language string, err error) {
	err = tx.QueryRow(ctx,
		`SELECT coalesce((SELECT x.global_settings->>'locale' FROM auth.user_settings AS x WHERE x.user_id = $1), '')`,
		userID).Scan(&language)
	return language, err
}

// noMail is the mailer of who sends none.
type noMail struct{}

func (noMail) PutTx(context.Context, pgx.Tx, Notice) error { return nil }
func (noMail) Wake()                                       {}

// mail runs a transaction in the scope of the system that causes mails.
func (s *Service) mail(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	if err := s.db.InTx(ctx, system(), fn); err != nil {
		return err
	}
	s.mailer.Wake()
	return nil
}
