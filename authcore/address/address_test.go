package address_test

import (
	"errors"
	"strings"
	"testing"

	"mana.how/edge/authcore/address"
)

// longest has 254 bytes (RFC 5321, section 4.5.3.1.3, without the brackets).
var longest = strings.Repeat("a", 64) + "@" + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 61)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		raw, want string
	}{
		"plain":                    {"ada@example.com", "ada@example.com"},
		"blanks around":            {" \tada@example.com \n", "ada@example.com"},
		"capitals":                 {"Ada.Lovelace+x@Example.COM", "ada.lovelace+x@example.com"},
		"domain in Unicode":        {"ada@müller.example", "ada@xn--mller-kva.example"},
		"domain as browsers send":  {"ada@xn--mller-kva.example", "ada@xn--mller-kva.example"},
		"domain in capitals":       {"ada@MÜLLER.example", "ada@xn--mller-kva.example"},
		"encoded, in capitals":     {"ada@XN--MLLER-KVA.example", "ada@xn--mller-kva.example"},
		"domain decomposed":        {"ada@mu\u0308ller.example", "ada@xn--mller-kva.example"},
		"domain in full width":     {"ada@ｅｘａｍｐｌｅ.com", "ada@example.com"},
		"ideographic full stop":    {"ada@example。com", "ada@example.com"},
		"sharp s is a letter":      {"ada@straße.example", "ada@xn--strae-oqa.example"},
		"domain in Cyrillic":       {"ada@еxample.com", "ada@xn--xample-2of.com"},
		"hyphens in place 3 and 4": {"ada@r3---a.example", "ada@r3---a.example"},
		"local composed":           {"jos\u00e9@example.com", "jos\u00e9@example.com"},
		"local decomposed":         {"jose\u0301@example.com", "jos\u00e9@example.com"},
		"local in capitals":        {"JOSE\u0301@example.com", "jos\u00e9@example.com"},
		"Cyrillic with digits":     {"иван.2@example.com", "иван.2@example.com"},
		"Japanese":                 {"山田たろうカナ@example.com", "山田たろうカナ@example.com"},
		"Korean":                   {"金민수@example.com", "金민수@example.com"},
		"longest before the @":     {strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com"},
		"longest of all":           {longest, longest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := address.Canonical(tt.raw)
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v, want %q", got, err, tt.want)
			}
			if again, err := address.Canonical(got); err != nil || again != got {
				t.Errorf("again: %q, %v", again, err)
			}
			if found := address.Lookup(tt.raw); found != tt.want {
				t.Errorf("looked up as %q", found)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]address.Reason{
		"":                                 address.NoAddress,
		"ada":                              address.NoAddress,
		"@example.com":                     address.NoAddress,
		"ada lovelace@example.com":         address.NoAddress,
		"a@b@example.com":                  address.NoAddress,
		"Ada <ada@example.com>":            address.BadDomain,
		`"ada"@example.com`:                address.NoAddress,
		".ada@example.com":                 address.NoAddress,
		"ada@[192.0.2.1]":                  address.BadDomain,
		"ada@exam_ple.com":                 address.BadDomain,
		"ada@example.com.":                 address.BadDomain,
		"ada@exa mple.com":                 address.BadDomain,
		"ada@xn--a.example":                address.BadDomain,
		"ada@\u202eexample.com":            address.BadDomain,
		"\xff@example.com":                 address.NoAddress,
		"ad\u0430@example.com":             address.MixedScripts, // Cyrillic а
		"αda@example.com":                  address.MixedScripts, // Greek α
		"ａｄａ@example.com":                  address.Compatibility,
		"ﬁona@example.com":                 address.Compatibility,
		"ada²@example.com":                 address.Compatibility,
		"𝐚da@example.com":                  address.Compatibility,
		"a\u200bda@example.com":            address.Invisible,
		"a\u00adda@example.com":            address.Invisible,
		"a\u202eda@example.com":            address.Invisible,
		"a\x1bda@example.com":              address.NoAddress,
		"a\u3164da@example.com":            address.Invisible,
		strings.Repeat("a", 65) + "@b.com": address.NoAddress,
		longest + "d":                      address.NoAddress,
	} {
		got, err := address.Canonical(raw)
		var reason address.Reason
		if !errors.As(err, &reason) || reason != want {
			t.Errorf("%q: %q, %v, want %q", raw, got, err, want)
		}
	}
}

// What older versions stored is found by its old spelling.
func TestLookupOfOldSpellings(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		" Иван.Petrov@example.com": "иван.petrov@example.com",
		"A\x00B":                   "ab",
		strings.Repeat("é", 200) + "@example.com": strings.Repeat("é", 127),
		`"` + longest[1:]:                         `"` + longest[1:],
	} {
		if got := address.Lookup(raw); got != want {
			t.Errorf("%q is looked up as %q, want %q", raw, got, want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("ada@müller.example")
	f.Add("İ@example.com")
	f.Add("e\u0301ς@xn--mller-kva.example")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := address.Canonical(raw)
		if err != nil {
			return
		}
		if again, err := address.Canonical(got); err != nil || again != got {
			t.Errorf("%q became %q, and that %q, %v", raw, got, again, err)
		}
	})
}
