package authcore

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// key is an Ed25519 signing key (RFC 8037). Private is nil where the secret
// does not open it. GoneAt is when it stops to verify, nil while undecided;
// RevokedAt is set where it leaked.
type key struct {
	ID        string
	Public    ed25519.PublicKey
	Private   ed25519.PrivateKey
	CreatedAt time.Time
	SignsFrom time.Time
	GoneAt    *time.Time
	RevokedAt *time.Time
}

// newKey makes a key that signs from the given time on.
func newKey(now, signsFrom time.Time) (key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return key{}, fmt.Errorf("make a signing key: %w", err)
	}
	return key{ID: newID(), Public: public, Private: private, CreatedAt: now, SignsFrom: signsFrom}, nil
}

func (k key) gone(now time.Time) bool { return k.GoneAt != nil && !now.Before(*k.GoneAt) }

// state tells where the key stands; signing is the id of the key that signs.
func (k key) state(now time.Time, signing string) KeyState {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case k.gone(now):
		return KeyGone
	case k.ID == signing:
		return KeySigning
	case k.SignsFrom.After(now):
		return KeyAnnounced
	}
	return KeyRetiring
}

// Format implements [fmt.Formatter]: the private half is never printed.
func (k key) Format(state fmt.State, _ rune) { fmt.Fprintf(state, "key %s", k.ID) }

// jwk is an Ed25519 key as JSON (RFC 8037, section 2). D is the seed.
type jwk struct {
	KTY string `json:"kty"`
	CRV string `json:"crv"`
	Alg string `json:"alg,omitempty"`
	X   string `json:"x"`
	D   string `json:"d,omitempty"`
	KID string `json:"kid,omitempty"`
	Use string `json:"use,omitempty"`
}

func (k key) jwk() jwk {
	return jwk{KTY: "OKP", CRV: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Public)}
}

func (j jwk) public() (ed25519.PublicKey, error) {
	x, err := base64.RawURLEncoding.DecodeString(j.X)
	if j.KTY != "OKP" || j.CRV != "Ed25519" || err != nil || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("not an Ed25519 JWK")
	}
	return x, nil
}

// sealKey returns the columns public_key and private_key of auth.jwks: the
// public JWK, and the sealed private JWK as a JSON string.
func sealKey(s Secrets, k key) (publicJWK, privateEnc string, err error) {
	public, err := json.Marshal(k.jwk())
	if err != nil {
		return "", "", fmt.Errorf("encode a public key: %w", err)
	}
	full := k.jwk()
	full.D = base64.RawURLEncoding.EncodeToString(k.Private.Seed())
	private, err := json.Marshal(full)
	if err != nil {
		return "", "", fmt.Errorf("encode a private key: %w", err)
	}
	sealed, err := s.seal(private)
	if err != nil {
		return "", "", fmt.Errorf("seal a private key: %w", err)
	}
	return string(public), `"` + sealed + `"`, nil
}

// open takes the key out of a row of auth.jwks, also of one of the replaced
// service. On an error the key has its public half if at least that could be
// read. The private half must belong to the public one.
func (k *key) open(s Secrets, publicJWK, privateEnc string) error {
	var stored jwk
	if err := json.Unmarshal([]byte(publicJWK), &stored); err != nil {
		return errors.New("public key: not JSON")
	}
	public, err := stored.public()
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	k.Public = public

	private, err := openPrivate(s, privateEnc)
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	if !public.Equal(private.Public()) {
		return errors.New("private key: is not the half of the public key")
	}
	k.Private = private
	return nil
}

func openPrivate(s Secrets, privateEnc string) (ed25519.PrivateKey, error) {
	var sealed string
	if err := json.Unmarshal([]byte(privateEnc), &sealed); err != nil {
		return nil, errors.New("not a JSON string")
	}
	plain, err := s.unseal(sealed)
	if err != nil {
		return nil, err
	}
	var full jwk
	if err := json.Unmarshal(plain, &full); err != nil {
		return nil, errors.New("sealed content is not a JWK")
	}
	seed, err := base64.RawURLEncoding.DecodeString(full.D)
	if _, publicErr := full.public(); err != nil || publicErr != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("sealed content is not an Ed25519 JWK")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
