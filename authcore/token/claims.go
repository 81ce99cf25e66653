package token

import (
	"time"

	"mana.how/edge/authcore/principal"
)

// Claims are what an access token says (RFC 7519, section 4.1, and the
// contract's email, role, sid, org and org_role). EmailVerified is the claim
// email_verified and AuthEpoch the claim auth_epoch; a token without them, of
// the replaced service, says false and 0. AuthTime is when the user last proved
// who they are and Methods how (auth_time and amr of OpenID Connect Core,
// section 2), zero and empty in such a token. APIKeyID and Scopes (api_key, and
// scope of RFC 8693, section 4.2) are of a token that was made for an API key,
// whose SessionID names no session. Times have a resolution of one
// second; IssuedAt and NotBefore are zero where the token lacks them. KeyID is
// no claim but the key that verified the token, empty in claims that come from
// a cookie.
type Claims struct {
	Subject        string
	Email          string
	EmailVerified  bool
	Role           principal.Role
	AuthEpoch      int32
	SessionID      string
	OrganizationID string
	SecondFactor   FactorState
	// OrganizationRole is what the user is in the organisation: owner, admin or
	// member. Both are empty in a session without an active one.
	OrganizationRole string
	AuthTime         time.Time
	Methods          principal.Methods
	APIKeyID         string
	Scopes           principal.Scopes
	Issuer           string
	Audience         string
	ID               string
	IssuedAt         time.Time
	Expires          time.Time
	NotBefore        time.Time
	KeyID            string
}

// FactorState says whether an account has a second factor: the claim
// second_factor, which is there where one is required.
type FactorState uint8

// The states.
const (
	FactorUnknown FactorState = iota
	FactorMissing
	FactorPresent
)

// KeyState is where a signing key stands in its life.
type KeyState string

const (
	// KeyAnnounced keys are in the JWK set and do not sign yet.
	KeyAnnounced KeyState = "announced"
	// KeySigning is the one key of its algorithm that signs.
	KeySigning KeyState = "signing"
	// KeyRetiring keys have a successor and still verify.
	KeyRetiring KeyState = "retiring"
	// KeyGone keys neither sign nor verify.
	KeyGone KeyState = "gone"
	// KeyRevoked keys leaked; nothing they signed is taken.
	KeyRevoked KeyState = "revoked"
)

// Info describes a signing key without the key itself. SignsFrom is when it
// starts, or started, to sign; GoneAt, where set, is when it stops to verify.
// SealedByOlder says that its private half is stored under an older encryption
// key.
type Info struct {
	ID        string
	Algorithm Algorithm
	State     KeyState
	CreatedAt time.Time
	SignsFrom time.Time
	GoneAt    *time.Time

	SealedByOlder bool
}
