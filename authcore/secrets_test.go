package authcore_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"mana.how/edge/authcore"
)

const (
	encryptionKey = "an encryption key that is long enough"
	legacySecret  = "0123456789abcdef0123456789abcdef"
)

func TestSecretsArePerPurpose(t *testing.T) {
	t.Parallel()
	a, err := authcore.NewSecrets(encryptionKey, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := authcore.NewSecrets(encryptionKey, "")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.CookieHMAC, b.CookieHMAC) || a.KeyEncryption != b.KeyEncryption || !bytes.Equal(a.Refresh, b.Refresh) {
		t.Error("the same encryption key gave other keys")
	}
	if bytes.Equal(a.CookieHMAC, a.Refresh) || bytes.Equal(a.CookieHMAC, a.KeyEncryption[:]) || bytes.Equal(a.Refresh, a.KeyEncryption[:]) {
		t.Error("two purposes share a key")
	}

	legacy, err := authcore.NewSecrets(encryptionKey, legacySecret)
	if err != nil {
		t.Fatal(err)
	}
	if string(legacy.CookieHMAC) != legacySecret {
		t.Error("the legacy secret does not sign cookies")
	}
	// SHA-256 of the legacy secret, by sha256sum.
	const want = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9"
	if got := hex.EncodeToString(legacy.KeyEncryption[:]); got != want {
		t.Errorf("KeyEncryption = %s, want %s", got, want)
	}
	if !bytes.Equal(legacy.Refresh, a.Refresh) {
		t.Error("the legacy secret changed the refresh key")
	}
}

func TestSecretsFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, key, legacy string
		ok                bool
	}{
		{"32 bytes", strings.Repeat("k", 32), "", true},
		{"31 bytes", strings.Repeat("k", 31), "", false},
		{"nothing", "", "", false},
		{"legacy alone", "", legacySecret, true},
		{"short legacy alone", "", strings.Repeat("s", 31), false},
		{"short legacy beside a key", encryptionKey, strings.Repeat("s", 16), true},
		{"guessable legacy", encryptionKey, "secret", false},
		{"published default", encryptionKey, "better-auth-secret-12345678901234567890", false},
	} {
		_, err := authcore.NewSecrets(tt.key, tt.legacy)
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if err != nil && tt.key != "" && strings.Contains(err.Error(), tt.key) {
			t.Errorf("%s: the error holds the key", tt.name)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	s, err := authcore.NewSecrets(encryptionKey, legacySecret)
	if err != nil {
		t.Fatal(err)
	}
	cookies := authcore.NewCookies("https://auth.mana.how", ".mana.how", s.CookieHMAC)
	var log bytes.Buffer
	nested := struct {
		Name    string
		Secrets authcore.Secrets
		Pointer *authcore.Secrets
	}{"config", s, &s}
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("start", "secrets", s, "pointer", &s, "config", nested, "cookies", cookies)
	}
	printed := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%X", "%t"} {
		for _, value := range []any{s, &s, nested, &nested, cookies, []authcore.Secrets{s}, map[string]authcore.Secrets{"a": s}} {
			printed = append(printed, fmt.Sprintf(verb, value))
		}
	}
	for _, value := range []any{s, &s, nested, cookies} {
		doc, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		printed = append(printed, string(doc))
	}
	for _, secret := range [][]byte{s.CookieHMAC, s.KeyEncryption[:], s.Refresh} {
		forms := []string{
			string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
			strings.Trim(fmt.Sprint(secret), "[]"), strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}"),
		}
		for _, text := range printed {
			for _, form := range forms {
				if strings.Contains(text, form) {
					t.Fatalf("%q shows a secret", text)
				}
			}
		}
	}
}
