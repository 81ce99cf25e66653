package passkey

import (
	"encoding/json"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// ChallengesKept is how long a challenge outlives its end.
const ChallengesKept = challengesKept

// NewRegistrationOptions are those for a user who has no passkey, without a
// database.
func (rp *RelyingParty) NewRegistrationOptions(u User) (json.RawMessage, string, error) {
	return rp.creation(account{User: u})
}

// Registered is what RegisterTx verifies without a database.
func (rp *RelyingParty) Registered(state string, response json.RawMessage) (*webauthn.Credential, error) {
	s, err := rp.open(state, registration)
	if err != nil {
		return nil, err
	}
	return rp.verifyRegistration(s, response)
}

// Used is what VerifyTx verifies without a database, for a passkey of a user.
func (rp *RelyingParty) Used(state string, response json.RawMessage, u User, made *webauthn.Credential) error {
	s, err := rp.open(state, signIn, secondFactor)
	if err != nil {
		return err
	}
	parsed, err := parse(response, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return err
	}
	_, err = rp.verifyAssertion(s, parsed, record{
		Passkey:      Passkey{UserID: u.ID, DeviceType: deviceType(made.Flags.BackupEligible)},
		CredentialID: made.ID, PublicKey: made.PublicKey, SignCount: int64(made.Authenticator.SignCount),
	})
	return err
}
