package refreshtoken

import (
	"crypto/hmac"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/ids"
)

func TestRefreshTokenRoundTrip(t *testing.T) {
	t.Parallel()
	s := testKeys(t, "")
	seen := make(map[string]bool)
	for _, family := range []string{"abcdefghijklmnopqrstuvwxyzABCDEF", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", "a"} {
		for _, generation := range []int64{0, 1, 2, 255, 256, 1 << 40, math.MaxInt64} {
			token := Make(s, family, generation)
			if token != Make(s, family, generation) {
				t.Fatal("one generation has two tokens")
			}
			if seen[token] {
				t.Fatalf("%s %d has the token of another", family, generation)
			}
			seen[token] = true
			gotFamily, gotGeneration, mac, ok := parse(token)
			if !ok || gotFamily != family || gotGeneration != generation || !hmac.Equal(mac, tag(s.Refresh, family, generation)) {
				t.Errorf("%q reads as %q %d %v", token, gotFamily, gotGeneration, ok)
			}
			if json.Valid([]byte(token)) || !strings.HasPrefix(token, "mrt_") || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
				t.Errorf("%q is a JSON literal or not URL-safe", token)
			}
			if hmac.Equal(mac, tag(s.Refresh, family, generation+1)) {
				t.Error("generations share a MAC")
			}
		}
	}
	other, err := secret.New("another encryption key, long enough", "")
	if err != nil {
		t.Fatal(err)
	}
	if hmac.Equal(tag(other.Refresh, "a", 0), tag(s.Refresh, "a", 0)) {
		t.Error("two secrets make one MAC")
	}
}

func TestParseRefreshTokenRefuses(t *testing.T) {
	t.Parallel()
	s := testKeys(t, "")
	good := Make(s, "abcdefghijklmnopqrstuvwxyzABCDEF", 7)
	for name, token := range map[string]string{
		"empty": "", "prefix": prefix, "no prefix": strings.TrimPrefix(good, prefix),
		"capitals": strings.ToUpper(good[:4]) + good[4:], "no family": Make(s, "", 0),
		"long family": Make(s, strings.Repeat("a", 65), 0), "signs in the family": Make(s, "a'b", 0),
		"NUL in the family": Make(s, "a\x00b", 0), "negative": Make(s, "a", -1), "line feed": good + "\n",
		"padded": good + "=", "blank": good + " ", "long": good + strings.Repeat("A", 1<<16), "random": strings.Repeat(ids.New(), 2),
	} {
		if _, _, _, ok := parse(token); ok {
			t.Errorf("%s: %q was read", name, token)
		}
	}
}

func FuzzRefreshToken(f *testing.F) {
	s := testKeys(f, "")
	f.Add(Make(s, "abcdefghijklmnopqrstuvwxyzABCDEF", 7))
	f.Add(prefix + "AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		family, generation, mac, ok := parse(token)
		if !ok {
			return
		}
		if generation < 0 || len(mac) != 32 || family == "" || len(family) > maxFamilyLength {
			t.Errorf("%q reads as %q %d", token, family, generation)
		}
		// Each token has one spelling.
		if right := hmac.Equal(mac, tag(s.Refresh, family, generation)); right != (token == Make(s, family, generation)) {
			t.Errorf("%q is one of two spellings", token)
		}
	})
}

func testKeys(t testing.TB, legacy string) secret.Keys {
	t.Helper()
	s, err := secret.New("an encryption key that is long enough", legacy)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Tokens of the replaced service have a form of their own, which ours never have.
func TestImported(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		strings.Repeat("aZ0-_9bX", 8):      true,
		strings.Repeat("a", 63):            false,
		strings.Repeat("a", 65):            false,
		strings.Repeat("a", 63) + ".":      false,
		strings.Repeat("a", 62) + "\u00e4": false,
		"":                                 false,
	} {
		if got := Imported(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
