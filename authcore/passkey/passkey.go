package passkey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/usertext"
)

const (
	// MaxPerUser is how many passkeys an account may have.
	MaxPerUser = 20
	// MaxName is how long the name of a passkey may be, in characters as people
	// count them.
	MaxName = 100
	// DefaultName is the name of a passkey that was given none.
	DefaultName = "Passkey"
)

// How a passkey may be kept, as its authenticator says.
const (
	SingleDevice = "singleDevice" // it never leaves its authenticator
	MultiDevice  = "multiDevice"  // it may be synced or copied
)

// Passkey is a row of auth.passkeys as its user sees it.
type Passkey struct {
	ID         string
	UserID     string
	Name       string
	DeviceType string // [SingleDevice] or [MultiDevice]
	// BackedUp reports whether there was a copy elsewhere when it was last used.
	BackedUp   bool
	Transports []string // of those WebAuthn knows; never nil
	AAGUID     string   // model of the authenticator, a UUID; zero for none
	CreatedAt  time.Time
	LastUsedAt *time.Time
}

const columns = `id, user_id, name, device_type, backed_up, transports, aaguid::text AS aaguid, created_at, last_used_at`

// record is a Passkey with what verifies it.
type record struct {
	Passkey
	CredentialID []byte
	PublicKey    []byte
	SignCount    int64
}

const recordColumns = columns + `, credential_id, public_key, sign_count`

// credential is the record as the library wants it.
func (r record) credential() webauthn.Credential {
	transports := make([]protocol.AuthenticatorTransport, len(r.Transports))
	for i, t := range r.Transports {
		transports[i] = protocol.AuthenticatorTransport(t)
	}
	return webauthn.Credential{
		ID:        r.CredentialID,
		PublicKey: r.PublicKey,
		Transport: transports,
		Flags:     webauthn.CredentialFlags{BackupEligible: r.DeviceType == MultiDevice, BackupState: r.BackedUp},
		Authenticator: webauthn.Authenticator{
			SignCount: uint32(r.SignCount),
		},
	}
}

func deviceType(backupEligible bool) string {
	if backupEligible {
		return MultiDevice
	}
	return SingleDevice
}

// transportsOf are those of WebAuthn (section 5.8.4), each once: what else a
// browser sends would come back to all others.
func transportsOf(sent []protocol.AuthenticatorTransport) []string {
	list := []string{}
	for _, known := range []protocol.AuthenticatorTransport{
		protocol.Internal, protocol.Hybrid, protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard,
	} {
		if slices.Contains(sent, known) {
			list = append(list, string(known))
		}
	}
	return list
}

// nameOf checks what a user calls a passkey.
func nameOf(text string) (string, error) {
	name, err := usertext.Line(text, MaxName)
	if err != nil {
		return "", fmt.Errorf("%w: name %w", ErrInvalidInput, err)
	}
	if name == "" {
		name = DefaultName
	}
	return name, nil
}

// List are the passkeys of a user, the oldest first. It runs in the scope of that
// user or of the system.
func List(ctx context.Context, tx pgx.Tx, userID string) ([]Passkey, error) {
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM auth.passkeys WHERE user_id = $1 ORDER BY created_at, id`, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Passkey])
}

func recordsTx(ctx context.Context, tx pgx.Tx, userID string) ([]record, error) {
	rows, err := tx.Query(ctx, `SELECT `+recordColumns+` FROM auth.passkeys WHERE user_id = $1 ORDER BY created_at, id`, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[record])
}

// CountTx is how many passkeys a user has, in the scope of that user or of the
// system.
func CountTx(ctx context.Context, tx pgx.Tx, userID string) (int, error) {
	row, err := dbscope.TxRow[struct{ N int }](ctx, tx, `SELECT count(*) AS n FROM auth.passkeys WHERE user_id = $1`, userID)
	return row.N, err
}

// RenameTx gives a passkey of a user another name, [DefaultName] for an empty
// one, in the scope of the system. It fails with [ErrInvalidInput] or
// [ErrNotFound].
func RenameTx(ctx context.Context, tx pgx.Tx, userID, id, name string) (Passkey, error) {
	name, err := nameOf(name)
	if err != nil {
		return Passkey{}, err
	}
	p, err := dbscope.TxRow[Passkey](ctx, tx,
		`UPDATE auth.passkeys SET name = $3 WHERE user_id = $1 AND id = $2 RETURNING `+columns, userID, id, name)
	return p, notFound(err)
}

// DeleteTx deletes a passkey of a user and returns it, in the scope of the
// system. It fails with [ErrNotFound]. Whether it is the last way to sign in is
// for the caller to see, who knows the others.
func DeleteTx(ctx context.Context, tx pgx.Tx, userID, id string) (Passkey, error) {
	p, err := dbscope.TxRow[Passkey](ctx, tx,
		`DELETE FROM auth.passkeys WHERE user_id = $1 AND id = $2 RETURNING `+columns, userID, id)
	return p, notFound(err)
}

func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
