package secret

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealingKey seals what is stored. Its id stands before what it has sealed; the
// key of the replaced service has none.
type sealingKey struct {
	id   string
	aead cipher.AEAD
}

func newSealingKey(id string, key []byte) (sealingKey, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return sealingKey{}, fmt.Errorf("make a sealing key: %w", err)
	}
	return sealingKey{id: id, aead: aead}, nil
}

// legacySealingKey is how the replaced service sealed its signing keys.
func legacySealingKey(secret string) (sealingKey, error) {
	key := sha256.Sum256([]byte(secret))
	return newSealingKey("", key[:])
}

// Seal encrypts what is to be stored, with the first key: its id, a dot, and
// hex of a nonce of 24 bytes and the text under XChaCha20-Poly1305.
func (s Keys) Seal(plain []byte) (string, error) { return s.seal(plain, nil) }

// Open opens what any of the keys has sealed. What has no key id before it
// was sealed by the replaced service, or by an early version of this one.
func (s Keys) Open(text string) ([]byte, error) { return s.open(text, nil) }

// Bound seals texts each of which belongs to one place, and opens them there
// alone. The place is not kept.
type Bound struct{ keys Keys }

// Bound seals as [Keys.Seal] does, for a place.
func (s Keys) Bound() Bound { return Bound{s} }

// Seal encrypts a text for a place.
func (b Bound) Seal(plain, place []byte) ([]byte, error) {
	text, err := b.keys.seal(plain, place)
	return []byte(text), err
}

// Open opens a text in its place.
func (b Bound) Open(sealed, place []byte) ([]byte, error) {
	return b.keys.open(string(sealed), place)
}

func (s Keys) seal(plain, place []byte) (string, error) {
	if len(s.sealing) == 0 {
		return "", errors.New("no encryption_key")
	}
	k := s.sealing[0]
	nonce := make([]byte, k.aead.NonceSize(), k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	rand.Read(nonce)
	return k.id + "." + hex.EncodeToString(k.aead.Seal(nonce, nonce, plain, place)), nil
}

func (s Keys) open(text string, place []byte) ([]byte, error) {
	id, encoded, named := strings.Cut(text, ".")
	if !named {
		id, encoded = "", text
	}
	sealed, err := hex.DecodeString(encoded)
	if err != nil || len(sealed) < chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead {
		return nil, errors.New("not sealed as expected")
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	for _, k := range s.sealing {
		if named && k.id != id {
			continue
		}
		if plain, err := k.aead.Open(nil, nonce, box, place); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("sealed with another secret")
}

// SealingPrefix is what everything begins with that the first key has sealed.
func (s Keys) SealingPrefix() string {
	if len(s.sealing) == 0 {
		return "."
	}
	return s.sealing[0].id + "."
}

// SealedByFirst reports whether the first key has sealed the text.
func (s Keys) SealedByFirst(text string) bool {
	return strings.HasPrefix(text, s.SealingPrefix())
}
