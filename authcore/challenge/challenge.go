// Package challenge keeps what somebody has been asked to prove: that a token
// which was sent to an address came back. A token has 256 random bits, one
// purpose and one use, is bound to the address it was sent to, and is stored as
// its SHA-256 alone.
package challenge

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// Purpose is what a token proves.
type Purpose string

// The purposes.
const (
	VerifyEmail   Purpose = "verify_email"
	ResetPassword Purpose = "reset_password"
	ChangeEmail   Purpose = "change_email"
	// UndoChangeEmail gives an account the address back that it had.
	UndoChangeEmail Purpose = "undo_change_email"
	// SignIn is the link, and the code, that somebody signs in with.
	SignIn Purpose = "sign_in"
	// SecondFactor is asked for behind a first factor that was right.
	SecondFactor Purpose = "second_factor"
	// TrustedDevice spares the device that has the token the second factor.
	TrustedDevice Purpose = "trusted_device"
	// AccountInvitation lets whoever reads the mail of an address make an account
	// with it. It is of no account.
	AccountInvitation Purpose = "account_invitation"
	// Consent is a question whether an OpenID client may have what it asks for.
	Consent Purpose = "consent"
	// Upload lets whoever has the token upload one file.
	Upload Purpose = "upload"
	// Ticket lets whoever has it send one request as a session.
	Ticket Purpose = "ticket"
	// Notice is no challenge but a mail that somebody can cause again and again:
	// it is counted as they are, and its token is sent to nobody.
	Notice Purpose = "notice"
)

// perHour bounds the tokens of one purpose that one account is sent in an hour,
// so that a stranger cannot fill its mailbox.
const perHour = 5

var (
	// ErrUnknown means that there is no such token, or one of another purpose.
	ErrUnknown = errors.New("Invalid token")
	// ErrExpired means that the token is too old, or another took its place.
	ErrExpired = errors.New("expired token")
	// ErrTooMany means that the account was sent enough for now.
	ErrTooMany = errors.New("too many tokens for one account")
)

// Challenge is a row of auth.challenges. Data is what its purpose needs to know.
type Challenge struct {
	ID         string
	Purpose    Purpose
	UserID     string
	Address    string
	Data       json.RawMessage
	CreatedAt  time.Time
	ExpiresAt  time.Time
	ConsumedAt *time.Time
	Expired    bool
	Attempts   int // of wrong codes
}

const columns = `id, purpose, coalesce(user_id, '') AS user_id, address, data, created_at, expires_at, consumed_at, expires_at <= now() AS expired, attempts`

// Over reports whether the challenge can no longer be met: it was, or it is too
// old.
func (c Challenge) Over() bool { return c.Expired || c.ConsumedAt != nil }

// New is a token to be made. Data is stored as JSON. A token that is mailed to
// nobody may be Unbounded in number.
type New struct {
	Purpose   Purpose
	UserID    string
	Address   string
	Data      any
	TTL       time.Duration
	Unbounded bool
}

// MakeTx makes a token for who owns the account or, without one, the address, in
// the caller's transaction and in the scope of the system. It fails with
// [ErrTooMany].
func MakeTx(ctx context.Context, tx pgx.Tx, n New) (token string, err error) {
	data, err := json.Marshal(n.Data)
	if err != nil {
		return "", err
	}
	if n.Data == nil {
		data = []byte("{}")
	}
	var secret [32]byte
	rand.Read(secret[:])
	token = base64.RawURLEncoding.EncodeToString(secret[:])
	tag, err := tx.Exec(ctx,
		`INSERT INTO auth.challenges (id, purpose, digest, user_id, address, data, expires_at)
		 SELECT $1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7)
		 WHERE (SELECT count(*) FROM auth.challenges AS c
		        WHERE (c.user_id = $4 OR $4 IS NULL AND c.user_id IS NULL AND c.address = $5) AND c.purpose = $2 AND c.created_at > now() - interval '1 hour') < $8 OR $9`,
		ids.New(), string(n.Purpose), digestOf(token), dbscope.NullText(n.UserID), n.Address, data, n.TTL.Seconds(), perHour, n.Unbounded)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrTooMany
	}
	return token, err
}

// FindTx locks the challenge of a token. It fails with [ErrUnknown]; whether it
// is expired or consumed is for the caller to see.
func FindTx(ctx context.Context, tx pgx.Tx, purpose Purpose, token string) (Challenge, error) {
	c, err := dbscope.TxRow[Challenge](ctx, tx,
		`SELECT `+columns+` FROM auth.challenges WHERE digest = $1 AND purpose = $2 FOR UPDATE`, digestOf(token), string(purpose))
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrUnknown
	}
	return c, err
}

// OpenTx are the challenges of an account that can still be met, the newest
// first.
func OpenTx(ctx context.Context, tx pgx.Tx, purpose Purpose, userID string) ([]Challenge, error) {
	rows, err := tx.Query(ctx,
		`SELECT `+columns+` FROM auth.challenges
		 WHERE user_id = $1 AND purpose = $2 AND consumed_at IS NULL AND expires_at > now()
		 ORDER BY created_at DESC, id`, userID, string(purpose))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Challenge])
}

// CountTx notes a wrong code.
func CountTx(ctx context.Context, tx pgx.Tx, c Challenge) error {
	_, err := tx.Exec(ctx, `UPDATE auth.challenges SET attempts = attempts + 1 WHERE id = $1`, c.ID)
	return err
}

// ConsumeTx notes that a token came back, and what its purpose knew is
// forgotten.
func ConsumeTx(ctx context.Context, tx pgx.Tx, c Challenge) error {
	_, err := tx.Exec(ctx, `UPDATE auth.challenges SET consumed_at = now(), data = '{}' WHERE id = $1`, c.ID)
	return err
}

// EndTx makes the open tokens of an account and purpose worthless. They count as
// expired from now on.
func EndTx(ctx context.Context, tx pgx.Tx, purpose Purpose, userID string) error {
	_, err := tx.Exec(ctx,
		`UPDATE auth.challenges SET expires_at = now(), data = '{}'
		 WHERE user_id = $1 AND purpose = $2 AND consumed_at IS NULL AND expires_at > now()`, userID, string(purpose))
	return err
}

// EndInvitationsTx makes the open invitations of an address worthless.
func EndInvitationsTx(ctx context.Context, tx pgx.Tx, address string) error {
	_, err := tx.Exec(ctx,
		`UPDATE auth.challenges SET expires_at = now(), data = '{}'
		 WHERE user_id IS NULL AND address = $1 AND purpose = $2 AND consumed_at IS NULL AND expires_at > now()`,
		address, string(AccountInvitation))
	return err
}

func digestOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
