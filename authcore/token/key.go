package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/ids"
)

// Key is an Ed25519 signing key (RFC 8037). Private is nil where the secret
// does not open it. GoneAt is when it stops to verify, nil while undecided;
// RevokedAt is set where it leaked.
type Key struct {
	ID        string
	Public    ed25519.PublicKey
	Private   ed25519.PrivateKey
	CreatedAt time.Time
	SignsFrom time.Time
	GoneAt    *time.Time
	RevokedAt *time.Time
}

// NewKey makes a key that signs from the given time on.
func NewKey(now, signsFrom time.Time) (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("make a signing key: %w", err)
	}
	return Key{ID: ids.New(), Public: public, Private: private, CreatedAt: now, SignsFrom: signsFrom}, nil
}

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

// publicJWK is the public half as it stands in the JWK set (RFC 8037, section
// 2).
func (k Key) publicJWK() (jwk.Key, error) {
	j, err := jwk.Import(k.Public)
	if err != nil {
		return nil, err
	}
	return j, errors.Join(
		j.Set(jwk.KeyIDKey, k.ID), j.Set(jwk.AlgorithmKey, algorithm()), j.Set(jwk.KeyUsageKey, jwk.ForSignature))
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

// decodeJWK reads half a key, of the type of into, out of a JWK.
func decodeJWK(doc []byte, into any) error {
	j, err := jwk.ParseKey(doc)
	if err != nil {
		return errors.New("not a JWK") // the error may quote a private key
	}
	if err := jwk.Export(j, into); err != nil {
		return errors.New("not an Ed25519 JWK")
	}
	return nil
}

// Open takes the key out of a row of auth.jwks, also of one of the replaced
// service. On an error the key has its public half if at least that could be
// read. The private half must belong to the public one.
func (k *Key) Open(s secret.Keys, publicJWK, privateEnc string) error {
	var public ed25519.PublicKey
	if err := decodeJWK([]byte(publicJWK), &public); err != nil {
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

func openPrivate(s secret.Keys, privateEnc string) (ed25519.PrivateKey, error) {
	var sealed string
	if err := json.Unmarshal([]byte(privateEnc), &sealed); err != nil {
		return nil, errors.New("not a JSON string")
	}
	plain, err := s.Open(sealed)
	if err != nil {
		return nil, err
	}
	var private ed25519.PrivateKey
	if err := decodeJWK(plain, &private); err != nil {
		return nil, fmt.Errorf("sealed content: %w", err)
	}
	return private, nil
}

// Info describes the key; signing is the id of the key that signs.
func (k Key) Info(now time.Time, signing string) Info {
	return Info{ID: k.ID, State: k.state(now, signing), CreatedAt: k.CreatedAt, SignsFrom: k.SignsFrom, GoneAt: k.GoneAt}
}
