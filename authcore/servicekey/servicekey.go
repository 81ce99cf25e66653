// Package servicekey is the secrets by which back ends of the family call this
// service, and what each may do. One without a name may do everything; a named
// one acts for its app alone, and within its scopes.
//
// A key is kept as its SHA-256 digest, so that nothing that holds one can print
// it. Admins choose them, so they are to be long: `openssl rand -base64 48`.
package servicekey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
)

// Scope is what a named key may be allowed.
type Scope string

// The scopes there are.
const (
	ChargeCredits Scope = "credits:charge" // charge users, under its own appId
	RefundCredits Scope = "credits:refund" // give back what its app charged
	ReadCredits   Scope = "credits:read"   // read balances of users
	GrantCredits  Scope = "credits:grant"  // give users credits
	RedeemGifts   Scope = "gifts:redeem"   // redeem gifts for Matrix users it speaks for
	LinkMatrix    Scope = "matrix:link"    // link and unlink Matrix ids of any user, and ask whether one is linked
	ReadMembers   Scope = "members:read"   // ask which organisations users belong to
	ReadUsers     Scope = "users:read"     // look users up by id
	MatrixSession Scope = "matrix:session" // get access tokens of users whose Matrix id is linked
	ReadMetrics   Scope = "metrics:read"   // read the metrics where mana_api shows them
)

// Scopes are all there are.
var Scopes = []Scope{ChargeCredits, RefundCredits, ReadCredits, GrantCredits, RedeemGifts, LinkMatrix, ReadMembers, ReadUsers, MatrixSession, ReadMetrics}

// Valid reports whether there is such a scope.
func (s Scope) Valid() bool { return slices.Contains(Scopes, s) }

// Key is the key of a back end. The zero Key may do nothing.
type Key struct {
	// Name is that of the app it is for, empty for the key that may do everything.
	Name   string
	Scopes []Scope
	all    bool
	sum    [sha256.Size]byte
}

// All is the key that may do everything.
func All(secret string) Key { return Key{all: true, sum: sha256.Sum256([]byte(secret))} }

// Named is the key of an app.
func Named(name, secret string, scopes ...Scope) Key {
	return Key{Name: name, Scopes: scopes, sum: sha256.Sum256([]byte(secret))}
}

// May reports whether the key may do what the scope is for. What has no scope is
// for the key alone that may do everything.
func (k Key) May(scope Scope) bool {
	return k.all || scope != "" && slices.Contains(k.Scopes, scope)
}

// MayActFor reports whether the key may act under an appId.
func (k Key) MayActFor(app string) bool { return k.all || k.Name != "" && k.Name == app }

// NewSecret makes a secret for a key: 48 random bytes in base64url (RFC 4648,
// section 5).
func NewSecret() string {
	var random [48]byte
	_, _ = rand.Read(random[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// Set is the keys that are taken.
type Set []Key

// Find is the key of a secret. It compares with all keys in constant time, the
// length included. An empty secret is nobody's.
func (s Set) Find(secret string) (found Key, ok bool) {
	sum := sha256.Sum256([]byte(secret))
	for _, k := range s {
		if subtle.ConstantTimeCompare(k.sum[:], sum[:]) == 1 {
			found, ok = k, secret != ""
		}
	}
	return found, ok
}

// Same reports whether two keys have one secret.
func (k Key) Same(other Key) bool { return k.sum == other.sum }
