package passkey

import (
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// User is whose passkey it is to be. The bytes of ID are the user handle: at
// most 64, and nothing that tells who they are (WebAuthn section 14.6.1). Name
// is what the browser shows beside the passkey, usually the address; DisplayName
// is what they are called, Name where it is empty.
type User struct{ ID, Name, DisplayName string }

func (u User) check() error {
	if len(u.ID) == 0 || len(u.ID) > maxUserID {
		return fmt.Errorf("%w: user id must have 1 to %d bytes", ErrInvalidInput, maxUserID)
	}
	return nil
}

// account is a user as the library sees one.
type account struct {
	User
	passkeys []record
}

func (a account) WebAuthnID() []byte { return []byte(a.ID) }

func (a account) WebAuthnName() string { return a.Name }

func (a account) WebAuthnDisplayName() string {
	if a.DisplayName == "" {
		return a.Name
	}
	return a.DisplayName
}

func (a account) WebAuthnCredentials() []webauthn.Credential {
	list := make([]webauthn.Credential, len(a.passkeys))
	for i, p := range a.passkeys {
		list[i] = p.credential()
	}
	return list
}

// descriptors are never nil: browsers get an empty list, not a missing one.
func (a account) descriptors() []protocol.CredentialDescriptor {
	return webauthn.Credentials(a.WebAuthnCredentials()).CredentialDescriptors()
}

// Interface guard
var _ webauthn.User = account{}
