package authcore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/usertext"
)

const userColumns = `u.id, u.name, u.email, u.email_verified, u.image, u.role::text AS role, u.auth_epoch,
	u.created_at, u.updated_at, u.disabled_at, u.deleted_at`

// usable is the condition under which an account may sign in and refresh.
const usable = `u.deleted_at IS NULL AND u.disabled_at IS NULL`

// registerTx writes an account with its credential in the caller's
// transaction. The password has been checked and hashed before, so that no
// hash is computed while a transaction is open.
func registerTx(ctx context.Context, tx pgx.Tx, u User, passwordHash string) (User, error) {
	list, err := tx.Query(ctx,
		`WITH u AS (
		   INSERT INTO auth.users (id, name, email, email_verified, role)
		   VALUES ($1, $2, $3, $4, $5::text::auth.user_role)
		   RETURNING *),
		 credential AS (
		   INSERT INTO auth.accounts (id, account_id, provider_id, user_id, password)
		   SELECT $6, u.id, 'credential', u.id, $7 FROM u)
		 SELECT `+userColumns+` FROM u`,
		u.ID, u.Name, u.Email, u.EmailVerified, string(u.Role), ids.New(), passwordHash)
	if err != nil {
		return User{}, err
	}
	return pgx.CollectExactlyOneRow(list, pgx.RowToStructByName[User])
}

// Register makes an account. It fails with [ErrEmailTaken], [*password.Error],
// [ErrInvalidInput] or [password.ErrBusy]. Where addresses must be proven it
// never says that one is taken: the user it returns then is nobody's, and what
// there is to know is mailed to the address.
func (s *Service) Register(ctx context.Context, client principal.Client, r Registration) (User, error) {
	metadata := map[string]any{}
	if r.ReferralCode != "" {
		metadata["referralCode"] = audit.Clip(r.ReferralCode, 64)
	}
	if r.SourceAppURL != "" {
		metadata["sourceAppUrl"] = audit.Clip(r.SourceAppURL, 255)
	}
	return s.makeUser(ctx,
		NewUser{Email: r.Email, Password: r.Password, Name: r.Name, Role: principal.RoleUser},
		signUp{event: audit.Event{Type: "registered", Client: client, Metadata: metadata}, quiet: s.cfg.VerificationRequired, ask: true, redirectTo: r.RedirectTo})
}

// signUp is how an account comes to be. quiet keeps that the address is taken
// from who asks, and ask has it proven by mail.
type signUp struct {
	event        audit.Event
	quiet, ask   bool
	redirectTo   string
	organization *organization.New // to be made with the account
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
	name, err := nameOf(n.Name)
	if err != nil {
		return User{}, err
	}
	if !n.Role.Valid() {
		return User{}, fmt.Errorf("%w: role %q is not user, admin or service", ErrInvalidInput, n.Role)
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
		p := pending{Name: u.Name, PasswordHash: hash, RedirectTo: how.redirectTo, Organization: how.organization, Client: how.event.Client}
		if how.quiet {
			owner, err := ownerOfAddressTx(ctx, tx, u.Email)
			if err != nil {
				return err
			}
			if owner != nil {
				if owner.DisabledAt != nil {
					return nil
				}
				return s.registerAgainTx(ctx, tx, *owner, p)
			}
		}
		written, err := registerTx(ctx, tx, u, hash)
		if err != nil {
			return err
		}
		if err := s.hooks.RegisterTx(ctx, tx, written); err != nil {
			return err
		}
		event := how.event
		event.UserID = written.ID
		if err := audit.RecordTx(ctx, tx, event); err != nil {
			return err
		}
		if how.organization != nil {
			if err := foundTx(ctx, tx, written.ID, event.Client, *how.organization); err != nil {
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

// ownerOfAddressTx is whose an address is, disabled accounts included; nil where
// it is nobody's.
func ownerOfAddressTx(ctx context.Context, tx pgx.Tx, email string) (*User, error) {
	u, err := dbscope.TxRow[User](ctx, tx, `SELECT `+userColumns+` FROM auth.users AS u WHERE u.email = $1 FOR UPDATE`, email)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // nobody's
	}
	return &u, err
}

// maxName is how long the name of a person may be, in characters.
const maxName = 255

// nameOf checks the name of a person.
func nameOf(text string) (string, error) {
	name, err := usertext.Line(text, maxName)
	if err != nil {
		return "", fmt.Errorf("%w: name %w", ErrInvalidInput, err)
	}
	return name, nil
}

// userByID reads an account that may still act, or [ErrUserNotFound].
func (s *Service) userByID(ctx context.Context, c principal.Caller) (User, error) {
	u, err := dbscope.One[User](ctx, s.db, scopeOf(c),
		`SELECT `+userColumns+` FROM auth.users AS u WHERE u.id = $1 AND `+usable, c.UserID)
	return u, notFound(err, ErrUserNotFound)
}

// notFound turns the absence of a row into the sentinel that names it.
func notFound(err, sentinel error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return sentinel
	}
	return err
}
