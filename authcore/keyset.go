package authcore

import (
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// keySet is a snapshot of the signing keys. It does not change once made, and
// so is safe for concurrent use.
type keySet struct {
	keys    []key
	byID    map[string]key
	revoked map[string]bool // ids of keys that leaked, which are not among keys
}

// newKeySet copies the list and keeps its order.
func newKeySet(keys []key) *keySet {
	ks := &keySet{keys: slices.Clone(keys), byID: make(map[string]key, len(keys))}
	for _, k := range ks.keys {
		ks.byID[k.ID] = k
	}
	return ks
}

func (ks *keySet) empty() bool { return len(ks.keys) == 0 }

// all returns the keys in their order. The slice is the caller's.
func (ks *keySet) all() []key { return slices.Clone(ks.keys) }

// signer is the key that signs now, among those whose private half is known.
func (ks *keySet) signer(now time.Time) (key, bool) {
	able := make([]key, 0, len(ks.keys))
	for _, k := range ks.keys {
		if k.Private != nil {
			able = append(able, k)
		}
	}
	return signerOf(able, now)
}

// signerOf chooses the key that signs now: of those whose time has come, the one made
// last. So a key that was announced when another was made to sign at once never
// signs: it may be the one that leaked. Where the time of none has come, which
// takes a clock that runs behind the one that made the first key, the next one
// does.
func signerOf(keys []key, now time.Time) (key, bool) {
	var current, next key
	for _, k := range keys {
		switch {
		case k.gone(now):
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
func (k key) succeeds(other key) int {
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

// verifier finds the public key of a key id, announced keys included, since an
// edge whose clock is ahead may sign with one.
func (ks *keySet) verifier(kid string, now time.Time) (ed25519.PublicKey, bool) {
	k, ok := ks.byID[kid]
	if !ok || k.gone(now) {
		return nil, false
	}
	return k.Public, true
}

// jwks is the public JWK set (RFC 7517, section 5) of every key not gone.
func (ks *keySet) jwks(now time.Time) []byte {
	set := jwk.NewSet()
	for _, k := range ks.keys {
		if k.gone(now) {
			continue
		}
		j, err := k.publicJWK()
		if err == nil {
			err = set.AddKey(j)
		}
		if err != nil {
			panic(err) // every Ed25519 key has a JWK
		}
	}
	doc, err := json.Marshal(set)
	if err != nil {
		panic(err) // as above
	}
	return doc
}
