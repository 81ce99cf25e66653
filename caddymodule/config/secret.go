package config

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "REDACTED"

// Secret is a string that prints, logs and marshals as REDACTED. The zero
// Secret is the one that is not set.
type Secret struct {
	// A pointer, because fmt looks into unexported fields of other structs
	// without asking Format, but does not follow pointers there.
	value *string
}

// NewSecret hides value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet reports whether there is a secret.
func (s Secret) IsSet() bool { return s.value != nil }

// Equal compares in constant time. A secret that is not set equals nothing.
func (s Secret) Equal(other string) bool {
	return s.IsSet() && subtle.ConstantTimeCompare([]byte(*s.value), []byte(other)) == 1
}

// Format redacts under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// String is REDACTED, or empty where there is no secret.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return redacted
}

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Interface guards
var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)
