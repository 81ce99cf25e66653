package token

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// KeySet is a snapshot of the signing keys. It does not change once made, and
// so is safe for concurrent use.
type KeySet struct {
	keys    []Key
	byID    map[string]Key
	revoked map[string]bool
}

// NewKeySet copies the list and keeps its order. revoked are the ids of keys
// that leaked, which are not in the list.
func NewKeySet(keys []Key, revoked ...string) *KeySet {
	ks := &KeySet{keys: slices.Clone(keys), byID: make(map[string]Key, len(keys)), revoked: make(map[string]bool, len(revoked))}
	for _, id := range revoked {
		ks.revoked[id] = true
	}
	for _, k := range ks.keys {
		ks.byID[k.ID] = k
	}
	return ks
}

// ByID is the key of an id, the zero Key where there is none.
func (ks *KeySet) ByID(id string) Key { return ks.byID[id] }

// Revoked reports whether a key leaked.
func (ks *KeySet) Revoked(id string) bool { return ks.revoked[id] }

// Empty reports whether there are none.
func (ks *KeySet) Empty() bool { return len(ks.keys) == 0 }

// All returns the keys in their order. The slice is the caller's.
func (ks *KeySet) All() []Key { return slices.Clone(ks.keys) }

// Signer is the key of an algorithm that signs now, among those whose private half is
// known.
func (ks *KeySet) Signer(a Algorithm, now time.Time) (Key, bool) {
	able := make([]Key, 0, len(ks.keys))
	for _, k := range ks.keys {
		if k.Private != nil && k.Algorithm == a {
			able = append(able, k)
		}
	}
	return SignerOf(able, now)
}

// Has reports whether a key of an algorithm is there that is not gone.
func (ks *KeySet) Has(a Algorithm, now time.Time) bool {
	return slices.ContainsFunc(ks.keys, func(k Key) bool { return k.Algorithm == a && !k.Gone(now) })
}

// SignerOf chooses, among keys of one algorithm, the one that signs now: of those whose time has come, the one made
// last. So a key that was announced when another was made to sign at once never
// signs: it may be the one that leaked. Where the time of none has come, which
// takes a clock that runs behind the one that made the first key, the next one
// does.
func SignerOf(keys []Key, now time.Time) (Key, bool) {
	var current, next Key
	for _, k := range keys {
		switch {
		case k.Gone(now):
		case k.SignsFrom.After(now):
			if next.ID == "" || k.succeeds(next) < 0 {
				next = k
			}
		case current.ID == "" || k.succeeds(current) > 0:
			current = k
		}
	}
	if current.ID == "" {
		current = next
	}
	return current, current.ID != ""
}

// succeeds orders keys by when they were made. Every edge must choose alike, so
// ties are broken.
func (k Key) succeeds(other Key) int {
	if c := k.CreatedAt.Compare(other.CreatedAt); c != 0 {
		return c
	}
	if c := k.SignsFrom.Compare(other.SignsFrom); c != 0 {
		return c
	}
	if k.ID < other.ID {
		return -1
	}
	return 1
}

// Verifier finds the Ed25519 key of a key id, by which access tokens of users are
// verified, announced keys included, since an
// edge whose clock is ahead may sign with one.
func (ks *KeySet) Verifier(kid string, now time.Time) (PublicKey, bool) {
	k, ok := ks.Key(kid, now)
	if !ok || k.Algorithm != EdDSA {
		return nil, false
	}
	return k.Public, true
}

// Key finds the key of a key id, of whatever algorithm, unless it is gone.
func (ks *KeySet) Key(kid string, now time.Time) (Key, bool) {
	k, ok := ks.byID[kid]
	return k, ok && !k.Gone(now)
}

// JWKS is the public JWK set (RFC 7517, section 5) of every key not gone.
func (ks *KeySet) JWKS(now time.Time) []byte {
	set := jwk.NewSet()
	for _, k := range ks.keys {
		if k.Gone(now) {
			continue
		}
		j, err := k.publicJWK()
		if err == nil {
			err = set.AddKey(j)
		}
		if err != nil {
			panic(err) // every key that was made or opened has a JWK
		}
	}
	doc, err := json.Marshal(set)
	if err != nil {
		panic(err) // as above
	}
	return doc
}
