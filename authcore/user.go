package authcore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/password"
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
// [ErrInvalidInput] or [password.ErrBusy].
func (s *Service) Register(ctx context.Context, client principal.Client, r Registration) (User, error) {
	metadata := map[string]any{}
	if r.ReferralCode != "" {
		metadata["referralCode"] = audit.Clip(r.ReferralCode, 64)
	}
	if r.SourceAppURL != "" {
		metadata["sourceAppUrl"] = audit.Clip(r.SourceAppURL, 255)
	}
	return s.makeUser(ctx, client,
		NewUser{Email: r.Email, Password: r.Password, Name: r.Name, Role: principal.RoleUser}, "registered", metadata)
}

// CreateUser makes an account as an operator.
func (s *Service) CreateUser(ctx context.Context, op principal.Operator, n NewUser) (User, error) {
	if n.Role == "" {
		n.Role = principal.RoleUser
	}
	return s.makeUser(ctx, principal.Client{}, n, "user_created", map[string]any{"operator": op.Name})
}

func (s *Service) makeUser(ctx context.Context, client principal.Client, n NewUser, eventType string, metadata map[string]any) (User, error) {
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
	if err := password.Check(n.Password); err != nil {
		return User{}, err
	}
	hash, err := s.hasher.Hash(ctx, n.Password)
	if err != nil {
		return User{}, err
	}
	u := User{ID: ids.New(), Name: name, Email: email, EmailVerified: n.Verified, Role: n.Role}
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		if u, err = registerTx(ctx, tx, u, hash); err != nil {
			return err
		}
		if err := s.hooks.RegisterTx(ctx, tx, u); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: eventType, UserID: u.ID, Client: client, Metadata: metadata})
	})
	if err != nil {
		return User{}, err
	}
	s.hooks.Registered(context.WithoutCancel(ctx), u)
	return u, nil
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
