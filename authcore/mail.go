package authcore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

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
	// NoticeAccountInvitation invites somebody who has no account yet. Token.
	NoticeAccountInvitation NoticeKind = "account_invitation"
	// NoticeAccountDeleted is the receipt of who has left.
	NoticeAccountDeleted NoticeKind = "account_deleted"
	// NoticeBackupCodesRenewed tells that the codes before are worth nothing.
	NoticeBackupCodesRenewed NoticeKind = "backup_codes_renewed"
)

// NoticeKinds are all kinds.
func NoticeKinds() []NoticeKind {
	return []NoticeKind{
		NoticeVerifyEmail, NoticeResetPassword, NoticePasswordChanged, NoticeAccountExists, NoticeMagicLink, NoticeConfirmAddress,
		NoticeAddressChanging, NoticeAddressChangeUndone, NoticeFactorAdded, NoticeFactorRemoved, NoticeBackupCodesRenewed,
		NoticeAccountDeleted, NoticeAccountInvitation,
	}
}

// Notice is a mail that something in an account causes. RedirectTo is where its
// link leads in the end, a checked origin or empty. Client is where the cause
// came from.
type Notice struct {
	Kind       NoticeKind
	UserID     string
	To         string
	Name       string
	Token      string
	Code       string
	Factor     FactorKind
	ValidFor   time.Duration
	RedirectTo string
	Client     principal.Client
	At         time.Time
}

// Mailer takes notices. PutTx keeps one in the transaction of its cause, in the
// scope of the system; Wake says that such a transaction has committed.
type Mailer interface {
	PutTx(ctx context.Context, tx pgx.Tx, n Notice) error
	Wake()
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
