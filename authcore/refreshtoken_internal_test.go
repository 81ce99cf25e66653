package authcore

import (
	"crypto/hmac"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestRefreshTokenRoundTrip(t *testing.T) {
	t.Parallel()
	s := keySecrets(t, "")
	seen := make(map[string]bool)
	for _, family := range []string{"abcdefghijklmnopqrstuvwxyzABCDEF", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", "a"} {
		for _, generation := range []int64{0, 1, 2, 255, 256, 1 << 40, math.MaxInt64} {
			token := s.refreshToken(family, generation)
			if token != s.refreshToken(family, generation) {
				t.Fatal("one generation has two tokens")
			}
			if seen[token] {
				t.Fatalf("%s %d has the token of another", family, generation)
			}
			seen[token] = true
			gotFamily, gotGeneration, mac, ok := parseRefreshToken(token)
			if !ok || gotFamily != family || gotGeneration != generation || !hmac.Equal(mac, refreshMAC(s.Refresh, family, generation)) {
				t.Errorf("%q reads as %q %d %v", token, gotFamily, gotGeneration, ok)
			}
			if json.Valid([]byte(token)) || !strings.HasPrefix(token, "mrt_") || strings.Trim(token, urlSafe) != "" {
				t.Errorf("%q is a JSON literal or not URL-safe", token)
			}
			if hmac.Equal(mac, refreshMAC(s.Refresh, family, generation+1)) {
				t.Error("generations share a MAC")
			}
		}
	}
	other, err := NewSecrets("another encryption key, long enough", "")
	if err != nil {
		t.Fatal(err)
	}
	if hmac.Equal(refreshMAC(other.Refresh, "a", 0), refreshMAC(s.Refresh, "a", 0)) {
		t.Error("two secrets make one MAC")
	}
}

func TestParseRefreshTokenRefuses(t *testing.T) {
	t.Parallel()
	s := keySecrets(t, "")
	good := s.refreshToken("abcdefghijklmnopqrstuvwxyzABCDEF", 7)
	for name, token := range map[string]string{
		"empty": "", "prefix": refreshPrefix, "no prefix": strings.TrimPrefix(good, refreshPrefix),
		"capitals": strings.ToUpper(good[:4]) + good[4:], "no family": s.refreshToken("", 0),
		"long family": s.refreshToken(strings.Repeat("a", 65), 0), "signs in the family": s.refreshToken("a'b", 0),
		"NUL in the family": s.refreshToken("a\x00b", 0), "negative": s.refreshToken("a", -1), "line feed": good + "\n",
		"padded": good + "=", "blank": good + " ", "long": good + strings.Repeat("A", 1<<16), "nanoid": newNano(64),
	} {
		if _, _, _, ok := parseRefreshToken(token); ok {
			t.Errorf("%s: %q was read", name, token)
		}
	}
}

func FuzzRefreshToken(f *testing.F) {
	s := keySecrets(f, "")
	f.Add(s.refreshToken("abcdefghijklmnopqrstuvwxyzABCDEF", 7))
	f.Add(refreshPrefix + "AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		family, generation, mac, ok := parseRefreshToken(token)
		if !ok {
			return
		}
		if generation < 0 || len(mac) != 32 || family == "" || len(family) > maxFamilyLength {
			t.Errorf("%q reads as %q %d", token, family, generation)
		}
		// Each token has one spelling.
		if right := hmac.Equal(mac, refreshMAC(s.Refresh, family, generation)); right != (token == s.refreshToken(family, generation)) {
			t.Errorf("%q is one of two spellings", token)
		}
	})
}
