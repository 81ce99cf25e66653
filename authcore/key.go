package authcore

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// key is an Ed25519 signing key (RFC 8037). Private is nil where the secret
// does not open it. GoneAt is when it stops to verify, nil while undecided.
type key struct {
	ID        string
	Public    ed25519.PublicKey
	Private   ed25519.PrivateKey
	CreatedAt time.Time
	SignsFrom time.Time
	GoneAt    *time.Time
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
// public JWK, and a JSON string of hex of a nonce of 24 bytes and the private
// JWK under XChaCha20-Poly1305.
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
	aead, err := chacha20poly1305.NewX(s.KeyEncryption[:])
	if err != nil {
		return "", "", fmt.Errorf("seal a private key: %w", err)
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(private)+aead.Overhead())
	rand.Read(nonce)
	return string(public), `"` + hex.EncodeToString(aead.Seal(nonce, nonce, private, nil)) + `"`, nil
}

// openKey reads a row of auth.jwks, also one of the replaced service. On an
// error the key has its public half if at least that could be read. The
// private half must belong to the public one.
func openKey(s Secrets, id, publicJWK, privateEnc string) (key, error) {
	var stored jwk
	if err := json.Unmarshal([]byte(publicJWK), &stored); err != nil {
		return key{}, errors.New("public key: not JSON")
	}
	public, err := stored.public()
	if err != nil {
		return key{}, fmt.Errorf("public key: %w", err)
	}
	k := key{ID: id, Public: public}

	private, err := openPrivate(s, privateEnc)
	if err != nil {
		return k, fmt.Errorf("private key: %w", err)
	}
	if !public.Equal(private.Public()) {
		return k, errors.New("private key: is not the half of the public key")
	}
	k.Private = private
	return k, nil
}

func openPrivate(s Secrets, privateEnc string) (ed25519.PrivateKey, error) {
	var text string
	if err := json.Unmarshal([]byte(privateEnc), &text); err != nil {
		return nil, errors.New("not a JSON string")
	}
	sealed, err := hex.DecodeString(text)
	if err != nil || len(sealed) < chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead {
		return nil, errors.New("not sealed as expected")
	}
	aead, err := chacha20poly1305.NewX(s.KeyEncryption[:])
	if err != nil {
		return nil, err
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	plain, err := aead.Open(nil, nonce, box, nil)
	if err != nil {
		return nil, errors.New("sealed with another secret")
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
