// Package secret derives the keys of the edge from its encryption key, one for
// each purpose, and seals with them what is stored.
package secret

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// Keys are the keys of the core, one for each purpose. They print as a
// placeholder in every format, log and encoding.
type Keys struct {
	CookieHMAC []byte // signs cookies
	Refresh    []byte // derives refresh tokens from the id of their family
	// PasskeyState authenticates what a browser keeps between the two halves of a
	// ceremony of WebAuthn, five minutes at most.
	PasskeyState []byte
	// ProofOfWork signs the challenges of proofs of work, ten minutes at most.
	ProofOfWork []byte

	// Of encryption keys that are on their way out: they verify still.
	OlderCookieHMAC, OlderRefresh [][]byte

	sealing []sealingKey // at rest: the first seals, all open
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

// New derives the keys from the encryption key, a text of 32 bytes or
// more, by HKDF-SHA256 (RFC 5869). Older encryption keys verify and open what
// was made with them. The legacy secret is that of the replaced service, 16
// bytes or more; where it is set, it signs cookies, so that existing ones stay
// good, and opens the signing keys that the service sealed. A legacy secret of
// 32 bytes or more may stand alone.
func New(encryptionKey, legacySecret string, older ...string) (Keys, error) {
	if legacySecret != "" && len(legacySecret) < minLegacySecret {
		return Keys{}, fmt.Errorf("the legacy secret has %d bytes, %d are needed", len(legacySecret), minLegacySecret)
	}
	if encryptionKey == "" {
		encryptionKey = legacySecret
	}
	masters := append([]string{encryptionKey}, older...)
	for _, secret := range append(masters, legacySecret) {
		if publicSecrets[secret] {
			return Keys{}, errors.New("a secret is a published default: choose a random one")
		}
	}
	var s Keys
	for i, master := range masters {
		switch {
		case len(master) < minSecret && i == 0:
			return Keys{}, fmt.Errorf("the encryption key has %d bytes, %d are needed", len(master), minSecret)
		case len(master) < minSecret:
			return Keys{}, fmt.Errorf("older encryption key %d has %d bytes, %d are needed", i, len(master), minSecret)
		case slices.Contains(masters[:i], master):
			return Keys{}, fmt.Errorf("older encryption key %d is there twice", i)
		}
		if err := s.derive(master); err != nil {
			return Keys{}, err
		}
	}
	state, err := hkdf.Key(sha256.New, []byte(masters[0]), nil, "mana-edge/passkey-state", 32)
	if err != nil {
		return Keys{}, fmt.Errorf("derive keys: %w", err)
	}
	s.PasskeyState = state
	if s.ProofOfWork, err = hkdf.Key(sha256.New, []byte(masters[0]), nil, "mana-edge/proof-of-work", 32); err != nil {
		return Keys{}, fmt.Errorf("derive keys: %w", err)
	}
	s.CookieHMAC, s.OlderCookieHMAC = s.OlderCookieHMAC[0], s.OlderCookieHMAC[1:]
	s.Refresh, s.OlderRefresh = s.OlderRefresh[0], s.OlderRefresh[1:]
	if legacySecret == "" {
		return s, nil
	}
	legacy, err := legacySealingKey(legacySecret)
	if err != nil {
		return Keys{}, err
	}
	s.CookieHMAC, s.OlderCookieHMAC = []byte(legacySecret), nil
	s.sealing = append(s.sealing, legacy)
	return s, nil
}

// derive appends the keys of one encryption key.
func (s *Keys) derive(master string) error {
	var failed error
	key := func(purpose string) []byte {
		k, err := hkdf.Key(sha256.New, []byte(master), nil, "mana-edge/"+purpose, 32)
		failed = errors.Join(failed, err)
		return k
	}
	s.OlderCookieHMAC = append(s.OlderCookieHMAC, key("cookie"))
	s.OlderRefresh = append(s.OlderRefresh, key("refresh-token"))
	id, sealing := hex.EncodeToString(key("key-id")[:4]), key("signing-key")
	if failed != nil {
		return fmt.Errorf("derive keys: %w", failed)
	}
	k, err := newSealingKey(id, sealing)
	s.sealing = append(s.sealing, k)
	return err
}

// Set reports whether the secrets were made by [New].
func (s Keys) Set() bool { return len(s.CookieHMAC) > 0 && len(s.Refresh) > 0 }

// Format implements [fmt.Formatter]: no verb prints a key.
func (Keys) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

func (Keys) String() string               { return redacted }
func (Keys) GoString() string             { return redacted }
func (Keys) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Keys) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Keys) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Interface guards.
var (
	_ fmt.Formatter  = Keys{}
	_ slog.LogValuer = Keys{}
)
