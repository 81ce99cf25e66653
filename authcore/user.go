package authcore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/membership"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// Register makes an account. It fails with [ErrEmailTaken], [*password.Error],
// [ErrInvalidInput] or [password.ErrBusy]. Where addresses must be proven it
// never says that one is taken: the user it returns then is nobody's, and what
// there is to know is mailed to the address. With an invitation the address is
// proven, and whether it is taken no secret; a bad one is [ErrInvitation], a
// missing one, where it is required, [ErrInvitationRequired]. Where there are no
// passwords it is [ErrPasswordsOff].
func (s *Service) Register(ctx context.Context, client principal.Client, r Registration) (User, error) {
	if s.PasswordsOff() {
		return User{}, ErrPasswordsOff
	}
	metadata := map[string]any{}
	if r.ReferralCode != "" {
		metadata["referralCode"] = audit.Clip(r.ReferralCode, 64)
	}
	if r.SourceAppURL != "" {
		metadata["sourceAppUrl"] = audit.Clip(r.SourceAppURL, 255)
	}
	if r.Invitation != "" {
		return s.registerInvited(ctx, r, audit.Event{Type: "registered", Client: client, Metadata: metadata})
	}
	if s.cfg.InvitationRequired {
		return User{}, ErrInvitationRequired
	}
	return s.makeUser(ctx,
		NewUser{Email: r.Email, Password: r.Password, Name: r.Name, Role: principal.RoleUser},
		signUp{event: audit.Event{Type: "registered", Client: client, Metadata: metadata}, quiet: s.cfg.VerificationRequired, ask: true, redirectTo: r.RedirectTo, returnTo: r.ReturnTo})
}

// registerInvited makes the account of an invitation, which is looked at before a
// hash is computed for who guesses.
func (s *Service) registerInvited(ctx context.Context, r Registration, e audit.Event) (User, error) {
	i, err := s.Invitation(ctx, r.Invitation)
	if err != nil {
		return User{}, err
	}
	if to, err := address.Canonical(r.Email); err != nil || to != i.Address {
		return User{}, ErrInvitation
	}
	e.Metadata["invited"] = true
	return s.makeUser(ctx, NewUser{Email: i.Address, Password: r.Password, Name: r.Name, Role: i.Role, Verified: true},
		signUp{event: e, invitation: r.Invitation})
}

// signUp is how an account comes to be. quiet keeps that the address is taken
// from who asks, and ask has it proven by mail.
type signUp struct {
	event        audit.Event
	quiet, ask   bool
	redirectTo   string
	returnTo     string
	organization *organization.New // to be made with the account
	invitation   string            // the token of one, which is consumed
}

// CreateUser makes an account as an operator.
func (s *Service) CreateUser(ctx context.Context, op principal.Operator, n NewUser) (User, error) {
	if n.Role == "" {
		n.Role = principal.RoleUser
	}
	return s.makeUser(ctx, n, signUp{event: audit.Event{Type: "user_created", By: op}})
}

func (s *Service) makeUser(ctx context.Context, n NewUser, how signUp) (User, error) {
	email, err := address.Canonical(n.Email)
	if err != nil {
		return User{}, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	name, err := account.NameOf(n.Name)
	if err != nil {
		return User{}, err
	}
	if !n.Role.Valid() {
		return User{}, fmt.Errorf("%w: role %q is not user, support, admin or service", ErrInvalidInput, n.Role)
	}
	if err := s.cfg.Passwords.Check(n.Password); err != nil {
		return User{}, err
	}
	hash, err := s.hasher.Hash(ctx, n.Password)
	if err != nil {
		return User{}, err
	}
	u := User{ID: ids.New(), Name: name, Email: email, EmailVerified: n.Verified, Role: n.Role, CreatedAt: s.now(), UpdatedAt: s.now()}
	made, err := s.makeOnce(ctx, u, hash, how)
	if how.quiet && errors.Is(err, ErrEmailTaken) {
		made, err = s.makeOnce(ctx, u, hash, how) // somebody else was first: their account is there now
	}
	if err != nil {
		return User{}, err
	}
	if how.ask {
		s.mailer.Wake()
	}
	if made == nil {
		return u, nil
	}
	s.hooks.Registered(context.WithoutCancel(ctx), *made)
	return *made, nil
}

// makeOnce writes an account, and returns it. Where that must stay quiet it
// returns nil for an address that has one.
func (s *Service) makeOnce(ctx context.Context, u User, hash string, how signUp) (*User, error) {
	var made *User
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		made = nil
		p := pending{Name: u.Name, PasswordHash: hash, RedirectTo: how.redirectTo, ReturnTo: how.returnTo, Organization: how.organization, Client: how.event.Client}
		if how.quiet {
			owner, err := account.OwnerOfAddressTx(ctx, tx, u.Email)
			if err != nil {
				return err
			}
			if owner != nil {
				if err := s.hooks.RegisterAgainTx(ctx, tx, how.event.Client); err != nil {
					return err
				}
				if owner.DisabledAt != nil {
					return nil
				}
				return s.registerAgainTx(ctx, tx, *owner, p)
			}
		}
		if how.invitation != "" {
			if err := acceptTx(ctx, tx, how.invitation, &u); err != nil {
				return err
			}
		}
		written, err := account.InsertTx(ctx, tx, u, hash)
		if err != nil {
			return err
		}
		if err := s.hooks.RegisterTx(ctx, tx, written, how.event.Client); err != nil {
			return err
		}
		event := how.event
		event.UserID = written.ID
		if err := audit.RecordTx(ctx, tx, event); err != nil {
			return err
		}
		if how.organization != nil {
			if err := membership.FoundTx(ctx, tx, written.ID, event.Client, *how.organization); err != nil {
				return err
			}
		}
		made = &written
		if how.ask && !written.EmailVerified {
			return s.askForProofTx(ctx, tx, written, p)
		}
		return nil
	})
	return made, err
}

// userByID reads an account that may still act, or [ErrUserNotFound].
func (s *Service) userByID(ctx context.Context, c principal.Caller) (User, error) {
	u, err := dbscope.One[User](ctx, s.db, account.ScopeOf(c),
		`SELECT `+account.Columns+` FROM auth.users AS u WHERE u.id = $1 AND `+account.Usable, c.UserID)
	return u, account.NotFound(err, ErrUserNotFound)
}
