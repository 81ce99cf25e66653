package passkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Assertion is a proof that somebody has a passkey of the user it names, just
// now.
type Assertion struct {
	Passkey // after this use

	// UserVerified reports whether the authenticator verified who used it, by a
	// PIN or a biometric: then it is two factors, else the possession alone.
	UserVerified bool
	// SecondFactor reports whether the options were made for a second factor; the
	// user is then the one they were made for.
	SecondFactor bool
}

// requestOptions is a PublicKeyCredentialRequestOptionsJSON whose list is there
// when it is empty.
type requestOptions struct {
	protocol.PublicKeyCredentialRequestOptions

	Allow []protocol.CredentialDescriptor `json:"allowCredentials"`
}

// SignInOptions are the options for a browser that is to use a passkey, as a
// PublicKeyCredentialRequestOptionsJSON, and the state for [RelyingParty.VerifyTx].
//
// Without a user the browser offers the passkeys it has. That is also the answer
// for who only named an address: options that list the passkeys of an account
// tell that it exists, how many it has and of what kind, and invented ones can
// be told from real ones by asking twice, by their lengths and transports, or
// when a real one changes. tx is then not used and may be nil.
//
// With a user, for whom the caller knows a first factor or a session already,
// their passkeys alone are offered, and a response of any other fails. It fails
// with [ErrNotFound] for who has none. A second factor asks for no PIN: having
// the passkey is what it adds.
func (rp *RelyingParty) SignInOptions(ctx context.Context, tx pgx.Tx, userID string, asSecondFactor bool) (options json.RawMessage, state string, err error) {
	use, verification := signIn, protocol.VerificationPreferred
	if asSecondFactor {
		use, verification = secondFactor, protocol.VerificationDiscouraged
	}
	var begun *protocol.CredentialAssertion
	owner := account{User: User{ID: userID}}
	if userID == "" {
		if asSecondFactor {
			return nil, "", fmt.Errorf("%w: a second factor is that of a user", ErrInvalidInput)
		}
		begun, _, err = rp.library.BeginDiscoverableLogin(webauthn.WithUserVerification(verification))
	} else {
		if err := owner.check(); err != nil {
			return nil, "", err
		}
		if owner.passkeys, err = recordsTx(ctx, tx, userID); err != nil {
			return nil, "", err
		}
		if len(owner.passkeys) == 0 {
			return nil, "", ErrNotFound
		}
		begun, _, err = rp.library.BeginLogin(owner, webauthn.WithUserVerification(verification))
	}
	if err != nil {
		return nil, "", fmt.Errorf("make sign-in options: %w", err)
	}
	options, err = json.Marshal(requestOptions{begun.Response, owner.descriptors()})
	return options, rp.newState(use, begun.Response.Challenge, userID), err
}

// VerifyTx verifies that a browser used a passkey for the options of a state, and
// notes the use. It runs in the scope of the system and holds the row of the
// passkey until the transaction ends. It fails with [ErrFailed], [ErrState],
// [ErrUsed] or [ErrCloned].
//
// The challenge is taken when the caller commits. After [ErrCloned] the
// transaction is still good, and nothing of the passkey is changed: the caller
// records it there, or in one of its own.
func (rp *RelyingParty) VerifyTx(ctx context.Context, tx pgx.Tx, state string, response json.RawMessage) (Assertion, error) {
	s, err := rp.open(state, signIn, secondFactor)
	if err != nil {
		return Assertion{}, err
	}
	parsed, err := parse(response, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return Assertion{}, err
	}
	stored, err := dbscope.TxRow[record](ctx, tx,
		`SELECT `+recordColumns+` FROM auth.passkeys WHERE credential_id = $1 FOR UPDATE`, parsed.RawID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Assertion{}, failed(errors.New("nobody has registered the passkey"))
	}
	if err != nil {
		return Assertion{}, err
	}
	used, err := rp.verifyAssertion(s, parsed, stored)
	if err != nil {
		return Assertion{}, err
	}
	// A response that is sent twice is no clone: the challenge is taken first.
	if err := takeTx(ctx, tx, s); err != nil {
		return Assertion{}, err
	}
	sent := parsed.Response.AuthenticatorData
	if used.Authenticator.CloneWarning {
		return Assertion{}, &ClonedError{PasskeyID: stored.ID, UserID: stored.UserID, Stored: uint32(stored.SignCount), Sent: sent.Counter}
	}
	p, err := dbscope.TxRow[Passkey](ctx, tx,
		`UPDATE auth.passkeys SET sign_count = $2, backed_up = $3, last_used_at = $4 WHERE id = $1 RETURNING `+columns,
		stored.ID, int64(used.Authenticator.SignCount), used.Flags.BackupState, rp.now())
	if err != nil {
		return Assertion{}, err
	}
	return Assertion{Passkey: p, UserVerified: sent.Flags.HasUserVerified(), SecondFactor: s.purpose == secondFactor}, nil
}

// verifyAssertion is section 7.2 of WebAuthn but for what the database knows.
// Whether the counter grew is in the credential it returns.
func (rp *RelyingParty) verifyAssertion(s state, parsed *protocol.ParsedCredentialAssertionData, stored record) (*webauthn.Credential, error) {
	session, err := rp.session(s, parsed.Response.CollectedClientData)
	if err != nil {
		return nil, err
	}
	owner := account{User: User{ID: stored.UserID}, passkeys: []record{stored}}
	var used *webauthn.Credential
	if s.userID == "" {
		_, used, err = rp.library.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return owner, nil }, session, parsed)
	} else { // fails where the owner is not the user of the session
		used, err = rp.library.ValidateLogin(owner, session, parsed)
	}
	if err != nil {
		return nil, failed(err)
	}
	return used, nil
}
