package authcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// Enrollment is what somebody needs who sets up a second factor: the address
// that their authenticator reads (otpauth), and codes for when it is lost. Both
// are shown once.
type Enrollment struct {
	URI         string
	BackupCodes []string
}

// EnrollTwoFactor makes a second factor for the caller, which counts from
// [Service.ConfirmTwoFactor] on. Who gives no password must have authenticated
// recently. It fails with [twofactor.ErrEnabled], [*ReauthenticationError] or as
// a wrong password does.
func (s *Service) EnrollTwoFactor(ctx context.Context, c principal.Caller, password string) (e Enrollment, err error) {
	if err := s.proveRecent(ctx, c, password); err != nil {
		return Enrollment{}, err
	}
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		e.URI, e.BackupCodes, err = s.factors.EnrollTx(ctx, tx, u.ID, u.Email)
		return err
	})
	return e, err
}

// ConfirmTwoFactor takes the first code of a factor that was set up, which counts
// from now on. A later code of it is only checked. It fails with
// [ErrSecondFactorFailed], [*LockedError] or [twofactor.ErrNotEnabled].
func (s *Service) ConfirmTwoFactor(ctx context.Context, c principal.Caller, code string) error {
	var right bool
	err := s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		before, err := s.factors.StateTx(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		if right, err = s.tryCodeTx(ctx, tx, c.Client, u, confirmTOTP, code); err != nil || !right || before.Enabled {
			return err
		}
		if _, err := s.provedTx(ctx, tx, c, principal.MethodOTP); err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "two_factor_enabled", UserID: u.ID, Client: c.Client}); err != nil {
			return err
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.FactorAdded, UserID: u.ID, To: u.Email, Name: u.Name, Factor: FactorTOTP, Client: c.Client, At: s.now(),
		})
	})
	if err == nil && !right {
		err = ErrSecondFactorFailed
	}
	if err == nil {
		s.Forget(c.UserID)
	}
	return err
}

// DisableTwoFactor takes the caller's second factor away, and no device is
// trusted any more. It fails as [Service.EnrollTwoFactor] does, or with
// [twofactor.ErrNotEnabled].
func (s *Service) DisableTwoFactor(ctx context.Context, c principal.Caller, password string) error {
	if err := s.proveRecent(ctx, c, password); err != nil {
		return err
	}
	return s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		return s.removeTwoFactorTx(ctx, tx, u, audit.Event{Type: "two_factor_disabled", UserID: u.ID, Client: c.Client})
	})
}

func (s *Service) removeTwoFactorTx(ctx context.Context, tx pgx.Tx, u User, e audit.Event) error {
	if err := s.factors.RemoveTx(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := errors.Join(challenge.EndTx(ctx, tx, challenge.TrustedDevice, u.ID), audit.RecordTx(ctx, tx, e)); err != nil {
		return err
	}
	return s.mailer.PutTx(ctx, tx, notice.Notice{
		Kind: notice.FactorRemoved, UserID: u.ID, To: u.Email, Name: u.Name, Factor: FactorTOTP, Client: e.Client, At: s.now(),
	})
}

// RenewBackupCodes makes the caller's backup codes anew; those before are worth
// nothing. It fails as [Service.DisableTwoFactor] does.
func (s *Service) RenewBackupCodes(ctx context.Context, c principal.Caller, password string) (codes []string, err error) {
	if err := s.proveRecent(ctx, c, password); err != nil {
		return nil, err
	}
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		if codes, err = s.factors.NewBackupCodesTx(ctx, tx, u.ID); err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "backup_codes_renewed", UserID: u.ID, Client: c.Client}); err != nil {
			return err
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.BackupCodesRenewed, UserID: u.ID, To: u.Email, Name: u.Name, Client: c.Client, At: s.now(),
		})
	})
	return codes, err
}

// TwoFactor is what an account has beside its first factor.
type TwoFactor struct {
	Enabled        bool
	Methods        []FactorKind
	BackupCodes    int // left
	TrustedDevices int
	// Missing says that one must be set up, or a passkey made, to go on.
	Missing bool
}

// TwoFactor reads what the caller has.
func (s *Service) TwoFactor(ctx context.Context, c principal.Caller) (t TwoFactor, err error) {
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		state, err := s.factors.StateTx(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		t.Enabled, t.BackupCodes, t.Missing = state.Enabled, state.BackupCodes, s.lacksSecondFactor(u)
		if t.Methods, err = s.secondFactorsTx(ctx, tx, u.ID); err != nil {
			return err
		}
		trusted, err := challenge.OpenTx(ctx, tx, challenge.TrustedDevice, u.ID)
		t.TrustedDevices = len(trusted)
		return err
	})
	return t, err
}

// SecondFactorRequired reports whether everybody must have a second factor.
func (s *Service) SecondFactorRequired() bool { return s.cfg.SecondFactorRequired }

// TokenLacksSecondFactor reports whether a verified token is one of an account
// that must set a second factor up first. Accounts of services need none: nobody
// is there to be asked for it.
func (s *Service) TokenLacksSecondFactor(c *token.Claims) bool {
	return s.cfg.SecondFactorRequired && c.SecondFactor == token.FactorMissing && c.Role != principal.RoleService
}

// LacksSecondFactor is TokenLacksSecondFactor of a browser session.
func (s *Service) LacksSecondFactor(b BrowserSession) bool {
	return s.cfg.SecondFactorRequired && s.lacksSecondFactor(b.User())
}

func (s *Service) lacksSecondFactor(u User) bool {
	return s.cfg.SecondFactorRequired && !u.SecondFactor && u.Role != principal.RoleService
}

// resealLimit bounds the second factors that one transaction seals anew.
const resealLimit = 500

// resealFactors seals with today's encryption key what an older one has sealed.
func (s *Service) resealFactors(ctx context.Context) error {
	if s.cfg.Keyless {
		return nil
	}
	return s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		n, err := s.factors.ResealTx(ctx, tx, resealLimit)
		if n > 0 && err == nil {
			s.log.Info("second factors are sealed with the first encryption_key now", "accounts", n)
		}
		return err
	})
}
