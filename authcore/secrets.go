package authcore

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Secrets are the keys of the core, one for each purpose. They print as a
// placeholder in every format, log and encoding.
type Secrets struct {
	CookieHMAC    []byte   // signs cookies
	KeyEncryption [32]byte // seals the private half of signing keys at rest
	Refresh       []byte   // derives refresh tokens from the salt of their family
}

const (
	minSecret       = 32
	minLegacySecret = 16
	redacted        = "[redacted]"
)

// publicSecrets are defaults and examples that anyone can read.
var publicSecrets = map[string]bool{
	"better-auth-secret-123456789":            true,
	"better-auth-secret-12345678901234567890": true,
}

// NewSecrets derives the keys from the encryption key, a text of 32 bytes or
// more, by HKDF-SHA256 (RFC 5869). The legacy secret is that of the replaced
// service, 16 bytes or more; where it is set, cookies are signed and signing
// keys sealed as that service did, so that existing ones stay readable. A
// legacy secret of 32 bytes or more may stand alone.
func NewSecrets(encryptionKey, legacySecret string) (Secrets, error) {
	if publicSecrets[encryptionKey] || publicSecrets[legacySecret] {
		return Secrets{}, errors.New("a secret is a published default: choose a random one")
	}
	if legacySecret != "" && len(legacySecret) < minLegacySecret {
		return Secrets{}, fmt.Errorf("the legacy secret has %d bytes, %d are needed", len(legacySecret), minLegacySecret)
	}
	master := encryptionKey
	if master == "" {
		master = legacySecret
	}
	if len(master) < minSecret {
		return Secrets{}, fmt.Errorf("the encryption key has %d bytes, %d are needed", len(master), minSecret)
	}

	var s Secrets
	var err error
	derive := func(purpose string) []byte {
		key, e := hkdf.Key(sha256.New, []byte(master), nil, "mana-edge/"+purpose, 32)
		err = errors.Join(err, e)
		return key
	}
	s.CookieHMAC = derive("cookie")
	copy(s.KeyEncryption[:], derive("signing-key"))
	s.Refresh = derive("refresh-token")
	if err != nil {
		return Secrets{}, fmt.Errorf("derive keys: %w", err)
	}
	if legacySecret != "" {
		s.CookieHMAC = []byte(legacySecret)
		s.KeyEncryption = sha256.Sum256([]byte(legacySecret))
	}
	return s, nil
}

// set reports whether the secrets were made by [NewSecrets].
func (s Secrets) set() bool { return len(s.CookieHMAC) > 0 && len(s.Refresh) > 0 }

// Format implements [fmt.Formatter]: no verb prints a key.
func (Secrets) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

func (Secrets) String() string               { return redacted }
func (Secrets) GoString() string             { return redacted }
func (Secrets) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secrets) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secrets) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Interface guards.
var (
	_ fmt.Formatter  = Secrets{}
	_ slog.LogValuer = Secrets{}
)
