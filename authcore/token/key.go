package token

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/ids"
)

// Algorithm is what a key signs with (RFC 7518, section 3.1, and RFC 8037).
type Algorithm string

// The algorithms. Access tokens of users are signed with Ed25519 alone; RS256 is for
// the clients of the OpenID provider that are registered so.
const (
	EdDSA Algorithm = "EdDSA"
	RS256 Algorithm = "RS256"
)

// Valid reports whether keys of the algorithm can be made.
func (a Algorithm) Valid() bool { return a == EdDSA || a == RS256 }

// rsaBits is the size of RSA keys (RFC 7518, section 3.3, asks for 2048 at least).
const rsaBits = 2048

// PublicKey is the public half of a key.
type PublicKey interface {
	Equal(other crypto.PublicKey) bool
}

// Key is a signing key. Private is nil where the secret does not open it. GoneAt is
// when it stops to verify, nil while undecided; RevokedAt is set where it leaked.
type Key struct {
	ID        string
	Algorithm Algorithm
	Public    PublicKey
	Private   crypto.Signer
	CreatedAt time.Time
	SignsFrom time.Time
	GoneAt    *time.Time
	RevokedAt *time.Time
}

// NewKey makes a key that signs from the given time on.
func NewKey(a Algorithm, now, signsFrom time.Time) (Key, error) {
	k := Key{ID: ids.New(), Algorithm: a, CreatedAt: now, SignsFrom: signsFrom}
	var err error
	switch a {
	case EdDSA:
		_, k.Private, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		k.Private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = fmt.Errorf("unknown algorithm %q", a)
	}
	if err != nil {
		return Key{}, fmt.Errorf("make a signing key: %w", err)
	}
	k.Public = k.Private.Public().(PublicKey)
	return k, nil
}

// algorithmOf is that of a half of a key, empty where there is none for it.
func algorithmOf(half any) Algorithm {
	switch half.(type) {
	case ed25519.PublicKey, ed25519.PrivateKey:
		return EdDSA
	case *rsa.PublicKey, *rsa.PrivateKey:
		return RS256
	}
	return ""
}

// jwa is the algorithm as the library knows it.
func (a Algorithm) jwa() jwa.SignatureAlgorithm {
	if a == RS256 {
		return jwa.RS256()
	}
	return jwa.EdDSA()
}

// Gone reports whether the key verifies no more.
func (k Key) Gone(now time.Time) bool { return k.GoneAt != nil && !now.Before(*k.GoneAt) }

// state tells where the key stands; signing is the id of the key that signs.
func (k Key) state(now time.Time, signing string) KeyState {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case k.Gone(now):
		return KeyGone
	case k.ID == signing:
		return KeySigning
	case k.SignsFrom.After(now):
		return KeyAnnounced
	}
	return KeyRetiring
}

// Format implements [fmt.Formatter]: the private half is never printed.
func (k Key) Format(state fmt.State, _ rune) { fmt.Fprintf(state, "key %s", k.ID) }

// publicJWK is the public half as it stands in the JWK set (RFC 8037, section 2, and
// RFC 7518, section 6.3).
func (k Key) publicJWK() (jwk.Key, error) {
	j, err := jwk.Import(k.Public)
	if err != nil {
		return nil, err
	}
	return j, errors.Join(
		j.Set(jwk.KeyIDKey, k.ID), j.Set(jwk.AlgorithmKey, k.Algorithm.jwa()), j.Set(jwk.KeyUsageKey, jwk.ForSignature))
}

// Seal returns the columns public_key and private_key of auth.jwks: the
// public JWK, and the sealed private JWK as a JSON string.
func Seal(s secret.Keys, k Key) (publicJWK, privateEnc string, err error) {
	public, err := EncodeJWK(k.Public)
	if err != nil {
		return "", "", fmt.Errorf("encode a public key: %w", err)
	}
	private, err := EncodeJWK(k.Private)
	if err != nil {
		return "", "", fmt.Errorf("encode a private key: %w", err)
	}
	sealed, err := s.Seal(private)
	if err != nil {
		return "", "", fmt.Errorf("seal a private key: %w", err)
	}
	return string(public), `"` + sealed + `"`, nil
}

// EncodeJWK is the bare JWK of half a key.
func EncodeJWK(half any) ([]byte, error) {
	j, err := jwk.Import(half)
	if err != nil {
		return nil, err
	}
	return json.Marshal(j)
}

// decodeJWK reads half a key out of a JWK.
func decodeJWK(doc []byte) (half any, err error) {
	j, err := jwk.ParseKey(doc)
	if err != nil {
		return nil, errors.New("not a JWK") // the error may quote a private key
	}
	if err := jwk.Export(j, &half); err != nil || algorithmOf(half) == "" {
		return nil, errors.New("not the JWK of an Ed25519 or RSA key")
	}
	return half, nil
}

// Open takes the key out of a row of auth.jwks, also of one of the replaced
// service. On an error the key has its public half if at least that could be
// read. The private half must belong to the public one.
func (k *Key) Open(s secret.Keys, publicJWK, privateEnc string) error {
	half, err := decodeJWK([]byte(publicJWK))
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	public, ok := half.(PublicKey)
	if !ok {
		return errors.New("public key: not a public one")
	}
	k.Public, k.Algorithm = public, algorithmOf(half)

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

func openPrivate(s secret.Keys, privateEnc string) (crypto.Signer, error) {
	var sealed string
	if err := json.Unmarshal([]byte(privateEnc), &sealed); err != nil {
		return nil, errors.New("not a JSON string")
	}
	plain, err := s.Open(sealed)
	if err != nil {
		return nil, err
	}
	half, err := decodeJWK(plain)
	if err != nil {
		return nil, fmt.Errorf("sealed content: %w", err)
	}
	private, ok := half.(crypto.Signer)
	if !ok {
		return nil, errors.New("sealed content: not a private key")
	}
	return private, nil
}

// Info describes the key; signing is the id of the key that signs.
func (k Key) Info(now time.Time, signing string) Info {
	return Info{ID: k.ID, Algorithm: k.Algorithm, State: k.state(now, signing), CreatedAt: k.CreatedAt, SignsFrom: k.SignsFrom, GoneAt: k.GoneAt}
}
