package password

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// Cost of the replaced service's scrypt hashes (RFC 7914), which take 32 MiB.
const (
	scryptN       = 16384
	scryptR       = 16
	scryptP       = 1
	scryptKeySize = 64
)

// maxBcryptCost bounds the time of a stored hash to about a second.
const maxBcryptCost = 14

// scryptHash is a hash of the replaced service, "saltHex:keyHex". The salt is
// the hex text itself, not the bytes it stands for.
type scryptHash struct {
	salt string
	key  []byte
}

func (h scryptHash) matches(password string) (bool, error) {
	key, err := scrypt.Key([]byte(normalize(password)), []byte(h.salt), scryptN, scryptR, scryptP, scryptKeySize)
	if err != nil {
		return false, fmt.Errorf("scrypt: %w", err)
	}
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

func parseScryptHash(encoded string) (scryptHash, error) {
	salt, keyHex, found := strings.Cut(encoded, ":")
	key, err := hex.DecodeString(keyHex)
	if !found || err != nil || len(key) != scryptKeySize || len(salt) < 16 || len(salt) > 128 {
		return scryptHash{}, fmt.Errorf("stored scrypt password: %w", errHashFormat)
	}
	return scryptHash{salt: salt, key: key}, nil
}

// bcryptHash is what the replaced service wrote on a password change. It knew
// no NFKC there, and no character after the 72nd byte.
type bcryptHash []byte

func (h bcryptHash) matches(password string) (bool, error) {
	err := bcrypt.CompareHashAndPassword(h, []byte(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("bcrypt: %w", err)
	}
	return true, nil
}

func parseBcryptHash(encoded string) (bcryptHash, error) {
	cost, err := bcrypt.Cost([]byte(encoded))
	if err != nil || len(encoded) != 60 {
		return nil, fmt.Errorf("stored bcrypt password: %w", errHashFormat)
	}
	if cost > maxBcryptCost {
		return nil, fmt.Errorf("stored bcrypt password: %w", errHashCost)
	}
	return bcryptHash(encoded), nil
}
