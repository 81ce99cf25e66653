package passkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// maxPublicKey bounds a COSE_Key, in bytes: beyond it, an RSA modulus only costs
// time to verify with.
const maxPublicKey = 2048

// creationOptions is a PublicKeyCredentialCreationOptionsJSON whose list is
// there when it is empty.
type creationOptions struct {
	protocol.PublicKeyCredentialCreationOptions

	Exclude []protocol.CredentialDescriptor `json:"excludeCredentials"`
}

// RegistrationOptions are the options for a browser that is to make a passkey,
// as a PublicKeyCredentialCreationOptionsJSON, and the state for [RelyingParty.RegisterTx].
// It reads the passkeys of the user, in their scope or that of the system, and
// fails with [ErrTooMany] or [ErrInvalidInput].
//
// A passkey has to be discoverable: one that is not serves only who types an
// address first, and could not sign in by itself.
func (rp *RelyingParty) RegistrationOptions(ctx context.Context, tx pgx.Tx, u User) (options json.RawMessage, state string, err error) {
	if err := u.check(); err != nil {
		return nil, "", err
	}
	known, err := recordsTx(ctx, tx, u.ID)
	if err != nil {
		return nil, "", err
	}
	if len(known) >= MaxPerUser {
		return nil, "", ErrTooMany
	}
	return rp.creation(account{User: u, passkeys: known})
}

func (rp *RelyingParty) creation(owner account) (options json.RawMessage, state string, err error) {
	creation, _, err := rp.library.BeginRegistration(owner,
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{UserVerification: protocol.VerificationPreferred}),
		webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementRequired))
	if err != nil {
		return nil, "", fmt.Errorf("make registration options: %w", err)
	}
	options, err = json.Marshal(creationOptions{creation.Response, owner.descriptors()})
	return options, rp.newState(registration, creation.Response.Challenge, owner.ID), err
}

// RegisterTx verifies that a browser made a passkey for the options of a state,
// and keeps it under a name, [DefaultName] for an empty one. It runs in the scope
// of the system and holds the user's row until the transaction ends. It fails
// with [ErrFailed], [ErrState], [ErrUsed], [ErrExists], [ErrTooMany],
// [ErrNotFound] for no such user, or [ErrInvalidInput] for the name.
func (rp *RelyingParty) RegisterTx(ctx context.Context, tx pgx.Tx, u User, state string, response json.RawMessage, name string) (Passkey, error) {
	name, err := nameOf(name)
	if err != nil {
		return Passkey{}, err
	}
	s, err := rp.open(state, registration)
	if err != nil {
		return Passkey{}, err
	}
	if s.userID != u.ID {
		return Passkey{}, ErrState
	}
	made, err := rp.verifyRegistration(s, response)
	if err != nil {
		return Passkey{}, err
	}
	if err := takeTx(ctx, tx, s); err != nil {
		return Passkey{}, err
	}
	// Of several registrations at once, each sees the passkeys of the others.
	if _, err := dbscope.TxRow[struct{ ID string }](ctx, tx,
		`SELECT id FROM auth.users WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE`, u.ID); err != nil {
		return Passkey{}, notFound(err)
	}
	n, err := CountTx(ctx, tx, u.ID)
	if err != nil {
		return Passkey{}, err
	}
	if n >= MaxPerUser {
		return Passkey{}, ErrTooMany
	}
	model, err := uuid.FromBytes(made.Authenticator.AAGUID)
	if err != nil {
		return Passkey{}, failed(err)
	}
	p, err := dbscope.TxRow[Passkey](ctx, tx,
		`INSERT INTO auth.passkeys
		   (id, user_id, credential_id, public_key, sign_count, name, device_type, backed_up, transports, aaguid, created_at)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		 ON CONFLICT (credential_id) DO NOTHING
		 RETURNING `+columns,
		ids.New(), u.ID, made.ID, made.PublicKey, int64(made.Authenticator.SignCount), name,
		deviceType(made.Flags.BackupEligible), made.Flags.BackupState, transportsOf(made.Transport), model.String(), rp.now())
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrExists
	}
	return p, err
}

// verifyRegistration is section 7.1 of WebAuthn but for what the database knows.
func (rp *RelyingParty) verifyRegistration(s state, response json.RawMessage) (*webauthn.Credential, error) {
	parsed, err := parse(response, protocol.ParseCredentialCreationResponseBytes)
	if err != nil {
		return nil, err
	}
	session, err := rp.session(s, parsed.Response.CollectedClientData)
	if err != nil {
		return nil, err
	}
	made, err := rp.library.CreateCredential(account{User: User{ID: s.userID}}, session, parsed)
	if err != nil {
		return nil, failed(err)
	}
	// Without attestation the library does not look at the key before its first use.
	if len(made.PublicKey) > maxPublicKey {
		return nil, failed(fmt.Errorf("the public key has %d bytes", len(made.PublicKey)))
	}
	if _, err := webauthncose.ParsePublicKey(made.PublicKey); err != nil {
		return nil, failed(fmt.Errorf("read the public key: %w", err))
	}
	return made, nil
}
