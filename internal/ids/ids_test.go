package ids

import (
	"regexp"
	"testing"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func() string
		form string
	}{
		{"id", New, `^[0-9A-Za-z]{32}$`},
		{"access token", Letters, `^[A-Za-z]{32}$`},
		{"user code", UserCode, `^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`},
	} {
		form := regexp.MustCompile(tt.form)
		seen := make(map[string]bool)
		for range 1000 {
			id := tt.make()
			if !form.MatchString(id) {
				t.Fatalf("%s: %q", tt.name, id)
			}
			if seen[id] {
				t.Fatalf("%s: %q came twice", tt.name, id)
			}
			seen[id] = true
		}
	}
}

func TestRandomTextIsFair(t *testing.T) {
	t.Parallel()
	const n = 62 * 4000
	var counts [256]int
	text := randomText(alphanumerics, n)
	for i := range len(text) {
		counts[text[i]]++
	}
	// 4000 each; six standard deviations are about 380.
	for _, c := range alphanumerics {
		if counts[c] < 3600 || counts[c] > 4400 {
			t.Errorf("%c came %d times of %d", c, counts[c], n)
		}
	}
}
