package secret_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"mana.how/edge/authcore/cookie"
	"mana.how/edge/authcore/secret"
)

const (
	encryptionKey = "an encryption key that is long enough"
	legacySecret  = "0123456789abcdef0123456789abcdef"
)

func TestSecretsArePerPurpose(t *testing.T) {
	t.Parallel()
	a, err := secret.New(encryptionKey, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := secret.New(encryptionKey, "")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.CookieHMAC, b.CookieHMAC) || !bytes.Equal(a.Refresh, b.Refresh) {
		t.Error("the same encryption key gave other keys")
	}
	if bytes.Equal(a.CookieHMAC, a.Refresh) {
		t.Error("two purposes share a key")
	}

	legacy, err := secret.New(encryptionKey, legacySecret)
	if err != nil {
		t.Fatal(err)
	}
	if string(legacy.CookieHMAC) != legacySecret {
		t.Error("the legacy secret does not sign cookies")
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
		older             []string
	}{
		{"32 bytes", strings.Repeat("k", 32), "", true, nil},
		{"31 bytes", strings.Repeat("k", 31), "", false, nil},
		{"nothing", "", "", false, nil},
		{"legacy alone", "", legacySecret, true, nil},
		{"short legacy alone", "", strings.Repeat("s", 31), false, nil},
		{"short legacy beside a key", encryptionKey, strings.Repeat("s", 16), true, nil},
		{"guessable legacy", encryptionKey, "secret", false, nil},
		{"an older key", encryptionKey, "", true, []string{strings.Repeat("o", 32)}},
		{"a short older key", encryptionKey, "", false, []string{strings.Repeat("o", 31)}},
		{"an older key that comes out empty", encryptionKey, "", false, []string{""}},
		{"an older key twice", encryptionKey, "", false, []string{strings.Repeat("o", 32), strings.Repeat("o", 32)}},
		{"the key once more as an older one", encryptionKey, "", false, []string{encryptionKey}},
		{"published default as an older key", encryptionKey, "", false, []string{"better-auth-secret-12345678901234567890"}},
		{"published default", encryptionKey, "better-auth-secret-12345678901234567890", false, nil},
	} {
		_, err := secret.New(tt.key, tt.legacy, tt.older...)
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
	s, err := secret.New(encryptionKey, legacySecret)
	if err != nil {
		t.Fatal(err)
	}
	sealing, err := hkdf.Key(sha256.New, []byte(encryptionKey), nil, "mana-edge/signing-key", 32)
	if err != nil {
		t.Fatal(err)
	}
	legacy := sha256.Sum256([]byte(legacySecret))
	cookies := cookie.New("https://auth.mana.how", ".mana.how", s.CookieHMAC)
	var log bytes.Buffer
	nested := struct {
		Name    string
		Secrets secret.Keys
		Pointer *secret.Keys
	}{"config", s, &s}
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("start", "secrets", s, "pointer", &s, "config", nested, "cookies", cookies)
	}
	printed := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%X", "%t"} {
		for _, value := range []any{s, &s, nested, &nested, cookies, []secret.Keys{s}, map[string]secret.Keys{"a": s}} {
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
	for _, secret := range [][]byte{s.CookieHMAC, s.Refresh, sealing[:], legacy[:]} {
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
