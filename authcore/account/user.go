package account

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// User is an account. Image, DisabledAt and DeletedAt are nil where unset.
type User struct {
	ID            string
	Name          string
	Email         string
	EmailVerified bool
	Image         *string
	Role          principal.Role
	AuthEpoch     int32 // raised by whatever ends the tokens the user holds
	SecondFactor  bool  // there is a confirmed authenticator, or a passkey
	CreatedAt     time.Time
	UpdatedAt     time.Time
	DisabledAt    *time.Time
	DeletedAt     *time.Time
}

// Columns are those of auth.users, as u, that make a [User].
const Columns = `u.id, u.name, u.email, u.email_verified, u.image, u.role::text AS role, u.auth_epoch, u.second_factor,
	u.created_at, u.updated_at, u.disabled_at, u.deleted_at`

// Usable is the condition under which an account may sign in and refresh.
const Usable = `u.deleted_at IS NULL AND u.disabled_at IS NULL`

// LockTx reads a usable account and keeps others from trying codes on it
// meanwhile. It fails with [ErrNotFound].
func LockTx(ctx context.Context, tx pgx.Tx, userID string) (User, error) {
	u, err := dbscope.TxRow[User](ctx, tx, `SELECT `+Columns+` FROM auth.users AS u WHERE u.id = $1 AND `+Usable+` FOR UPDATE`, userID)
	return u, NotFound(err, ErrNotFound)
}

// OwnerOfAddressTx is whose an address is, disabled accounts included; nil where
// it is nobody's.
func OwnerOfAddressTx(ctx context.Context, tx pgx.Tx, email string) (*User, error) {
	u, err := dbscope.TxRow[User](ctx, tx, `SELECT `+Columns+` FROM auth.users AS u WHERE u.email = $1 FOR UPDATE`, email)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // nobody's
	}
	return &u, err
}

// InsertTx writes an account with its credential, where it has one, in the
// caller's transaction. The password has been checked and hashed before, so that no
// hash is computed while a transaction is open.
func InsertTx(ctx context.Context, tx pgx.Tx, u User, passwordHash string) (User, error) {
	list, err := tx.Query(ctx,
		`WITH u AS (
		   INSERT INTO auth.users (id, name, email, email_verified, role)
		   VALUES ($1, $2, $3, $4, $5::text::auth.user_role)
		   RETURNING *),
		 credential AS (
		   INSERT INTO auth.accounts (id, account_id, provider_id, user_id, password)
		   SELECT $6, u.id, 'credential', u.id, $7 FROM u WHERE $7 <> '')
		 SELECT `+Columns+` FROM u`,
		u.ID, u.Name, u.Email, u.EmailVerified, string(u.Role), ids.New(), passwordHash)
	if err != nil {
		return User{}, err
	}
	return pgx.CollectExactlyOneRow(list, pgx.RowToStructByName[User])
}

// HasPasswordTx reports whether an account can be signed in to with a password.
func HasPasswordTx(ctx context.Context, tx pgx.Tx, userID string) (has bool, err error) {
	err = tx.QueryRow(ctx,
		`SELECT EXISTS (
		   SELECT FROM auth.accounts AS a
		   WHERE a.user_id = $1 AND a.provider_id = 'credential' AND a.password <> '')`, userID).Scan(&has)
	return has, err
}
