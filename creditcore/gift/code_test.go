package gift_test

import (
	"strings"
	"testing"

	"mana.how/edge/creditcore/gift"
)

const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

func TestCodesAreRandom(t *testing.T) {
	t.Parallel()
	seen, count := map[gift.Code]bool{}, map[rune]int{}
	const n = 4096
	for range n {
		c := gift.RandomCode()
		if parsed, ok := gift.ParseCode(string(c)); !ok || parsed != c {
			t.Fatalf("code %q", c)
		}
		seen[c] = true
		for _, r := range c {
			count[r]++
		}
	}
	if len(seen) < n-5 {
		t.Errorf("%d of %d codes differ", len(seen), n)
	}
	for _, r := range letters { // 768 expected, 27 the standard deviation
		if count[r] < 768-8*27 || count[r] > 768+8*27 {
			t.Errorf("letter %c came %d times", r, count[r])
		}
	}
}

func FuzzParseCode(f *testing.F) {
	for _, seed := range []string{"", "ABC234", "abc234", "ABC10O", "ABCDEFG", "ſſſ", "ABCDE\x00", "äbcde", "ABC 23", "ıııııı"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, ok := gift.ParseCode(text)
		if !ok {
			if code != "" {
				t.Errorf("%q is no code, but %q", text, code)
			}
			return
		}
		if len(code) != 6 || strings.Trim(string(code), letters) != "" || !strings.EqualFold(string(code), text) {
			t.Errorf("%q is the code %q", text, code)
		}
		if again, ok := gift.ParseCode(string(code)); !ok || again != code {
			t.Errorf("%q is not its own code", code)
		}
	})
}
