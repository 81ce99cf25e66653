package passkey

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// MaxResponse bounds what a browser may answer, in bytes of JSON.
const MaxResponse = 64 << 10

// parse reads a response within [MaxResponse].
func parse[T any](response json.RawMessage, read func([]byte) (T, error)) (T, error) {
	var none T
	if len(response) > MaxResponse {
		return none, failed(fmt.Errorf("the response has %d bytes", len(response)))
	}
	parsed, err := read(response)
	if err != nil {
		return none, failed(err)
	}
	return parsed, nil
}

// session is what the library compares a response with. The origin is the one
// that the response names, once it is known to be allowed; the library takes no
// other and no frame of another site.
func (rp *RelyingParty) session(s state, client protocol.CollectedClientData) (webauthn.SessionData, error) {
	if !rp.origin(client.Origin) {
		return webauthn.SessionData{}, failed(protocol.ErrVerification.WithDetails("Error validating origin").WithInfo(client.Origin))
	}
	return webauthn.SessionData{
		Challenge:        base64.RawURLEncoding.EncodeToString(s.challenge),
		RelyingPartyID:   rp.library.Config.RPID,
		Origin:           client.Origin,
		UserID:           []byte(s.userID),
		UserVerification: protocol.VerificationPreferred,
		CredParams:       webauthn.CredentialParametersRecommendedL3(),
	}, nil
}
