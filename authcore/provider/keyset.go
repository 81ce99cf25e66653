package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"mana.how/edge/authcore/jwks"
)

const (
	minRSA = 2048 // bits
	maxRSA = 8192
)

// keySet is the public keys of a provider (RFC 7517, section 5). It implements
// KeySet of go-oidc.
type keySet struct {
	set *jwks.Set[[]jose.JSONWebKey]
}

func newKeySet(url string, client *http.Client) *keySet {
	return &keySet{jwks.New(url, client, func(keys []jose.JSONWebKey) ([]jose.JSONWebKey, error) {
		if len(keys) == 0 {
			return nil, errors.New("the key set has no key that can be used")
		}
		return keys, nil
	})}
}

// verify checks the signature of a token whose algorithm is one of those and gives
// what it signs. A key that is not known yet may be new: the set is fetched again,
// but not whenever a stranger likes.
func (k *keySet) verify(ctx context.Context, raw string, accepted []string) ([]byte, error) {
	list := make([]jose.SignatureAlgorithm, len(accepted))
	for i, a := range accepted {
		list[i] = jose.SignatureAlgorithm(a)
	}
	signed, err := jose.ParseSignedCompact(raw, list)
	if err != nil {
		return nil, &Error{Token, err}
	}
	header := signed.Signatures[0].Header
	key, ok := k.find(header)
	if !ok {
		if err := k.set.Fetch(ctx); err != nil {
			return nil, because(Keys, err)
		}
		if key, ok = k.find(header); !ok {
			return nil, failf(Signature, "no key of the provider is for this token")
		}
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, &Error{Signature, err}
	}
	return payload, nil
}

// find is the key that a token names or, where it names none, the only one that
// fits.
func (k *keySet) find(h jose.Header) (key jose.JSONWebKey, ok bool) {
	for _, candidate := range k.set.Current() {
		if !fits(candidate, h.Algorithm) || h.KeyID != "" && candidate.KeyID != h.KeyID {
			continue
		}
		if ok {
			return jose.JSONWebKey{}, false // two: nobody knows which
		}
		key, ok = candidate, true
	}
	return key, ok
}

// fits reports whether a key is for signatures of the algorithm: by what it says,
// and by what it is.
func fits(k jose.JSONWebKey, algorithm string) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return (strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")) && key.N.BitLen() >= minRSA && key.N.BitLen() <= maxRSA
	case *ecdsa.PublicKey:
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
		return curve != nil && key.Curve == curve
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}
