package authcore

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
		{"id", newID, `^[0-9A-Za-z]{32}$`},
		{"nano", func() string { return newNano(21) }, `^[0-9A-Za-z_-]{21}$`},
		{"long nano", func() string { return newNano(300) }, `^[0-9A-Za-z_-]{300}$`},
		{"uuid", newUUID, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`},
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
