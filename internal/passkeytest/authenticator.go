package passkeytest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"sync"
)

var (
	// ErrExcluded means that the authenticator holds one of excludeCredentials: the
	// InvalidStateError of a browser.
	ErrExcluded = errors.New("passkeytest: the authenticator holds an excluded credential")
	// ErrNoCredential means that the authenticator holds no credential that the
	// options allow: the NotAllowedError of a browser.
	ErrNoCredential = errors.New("passkeytest: no credential for these options")
)

// Authenticator is a browser on a page of Origin, with the passkeys made on it.
// The zero value of every other field is a security key that verifies its user
// and counts signatures; change them between calls. Its methods may be called
// from several goroutines, its fields may not be changed meanwhile.
type Authenticator struct {
	Origin      string // of the page
	CrossOrigin bool   // the page is framed by one of another origin
	TopOrigin   string // the origin of the page that frames it
	RPID        string // answers for this relying party instead of the one of the options

	Algorithm      Algorithm // of new passkeys
	Absent         bool      // flag UP stays unset
	Unverified     bool      // flag UV stays unset
	BackupEligible bool      // flag BE
	BackedUp       bool      // flag BS
	Uncounted      bool      // the counter stays 0, as it does for synced passkeys
	NoUserHandle   bool      // assertions do not say whose they are
	CredentialID   []byte    // of new passkeys; random where it is empty
	Key            []byte    // COSE_Key that new passkeys claim to have, in place of their own
	AAGUID         [16]byte
	Transports     []string
	Extensions     map[string]any // clientExtensionResults

	mu          sync.Mutex
	credentials []*credential
}

// credential is a passkey, the newest last.
type credential struct {
	id         []byte
	rpID       string
	userHandle []byte
	key        privateKey
	counter    uint32
}

// Clone is an authenticator with copies of the passkeys, which counts on its
// own from here.
func (a *Authenticator) Clone() *Authenticator {
	a.mu.Lock()
	defer a.mu.Unlock()
	twin := &Authenticator{
		Origin: a.Origin, CrossOrigin: a.CrossOrigin, TopOrigin: a.TopOrigin, RPID: a.RPID,
		Algorithm: a.Algorithm, Absent: a.Absent, Unverified: a.Unverified, BackupEligible: a.BackupEligible, BackedUp: a.BackedUp,
		Uncounted: a.Uncounted, NoUserHandle: a.NoUserHandle, CredentialID: a.CredentialID, Key: a.Key, AAGUID: a.AAGUID, Transports: a.Transports, Extensions: a.Extensions,
	}
	for _, c := range a.credentials {
		held := *c
		twin.credentials = append(twin.credentials, &held)
	}
	return twin
}

// Create answers a PublicKeyCredentialCreationOptionsJSON with a new passkey, as
// a RegistrationResponseJSON without attestation. It fails with [ErrExcluded].
func (a *Authenticator) Create(options json.RawMessage) (json.RawMessage, error) {
	var o creationOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range o.Exclude {
		if a.find(d.ID) != nil {
			return nil, ErrExcluded
		}
	}
	if !slices.ContainsFunc(o.Parameters, func(p parameter) bool { return p.Algorithm == a.Algorithm.cose() }) {
		return nil, errors.New("passkeytest: the relying party does not take the algorithm")
	}
	key, err := a.Algorithm.generate()
	if err != nil {
		return nil, err
	}
	c := &credential{id: slices.Clone(a.CredentialID), rpID: o.RP.ID, userHandle: o.User.ID, key: key}
	if len(c.id) == 0 {
		c.id = make([]byte, 32)
		rand.Read(c.id)
	}
	a.credentials = append(a.credentials, c)

	clientData := a.clientData("webauthn.create", o.Challenge)
	data := a.attestedData(c)
	return json.Marshal(registrationResponse{
		response: a.response(c),
		Response: attestation{
			ClientDataJSON: clientData,
			AttestationObject: object(
				entry{"fmt", "none"}, entry{"attStmt", fields{}}, entry{"authData", data}),
			AuthenticatorData:  data,
			PublicKeyAlgorithm: a.Algorithm.cose(),
			Transports:         a.Transports,
		},
	})
}

// Get answers a PublicKeyCredentialRequestOptionsJSON with an assertion of the
// newest passkey that it allows, as an AuthenticationResponseJSON. It fails with
// [ErrNoCredential].
func (a *Authenticator) Get(options json.RawMessage) (json.RawMessage, error) {
	var o requestOptions
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.choose(o)
	if c == nil {
		return nil, ErrNoCredential
	}
	if !a.Uncounted {
		c.counter++
	}
	clientData := a.clientData("webauthn.get", o.Challenge)
	data := a.authenticatorData(c, 0)
	signature, err := c.key.sign(signed(data, clientData))
	if err != nil {
		return nil, err
	}
	answer := assertion{ClientDataJSON: clientData, AuthenticatorData: data, Signature: signature}
	if !a.NoUserHandle {
		answer.UserHandle = c.userHandle
	}
	return json.Marshal(authenticationResponse{response: a.response(c), Response: answer})
}

func (a *Authenticator) find(id []byte) *credential {
	for _, c := range a.credentials {
		if slices.Equal(c.id, id) {
			return c
		}
	}
	return nil
}

func (a *Authenticator) choose(o requestOptions) *credential {
	for _, c := range slices.Backward(a.credentials) {
		allowed := len(o.Allow) == 0 || slices.ContainsFunc(o.Allow, func(d descriptor) bool { return slices.Equal(d.ID, c.id) })
		if allowed && c.rpID == o.RPID {
			return c
		}
	}
	return nil
}
