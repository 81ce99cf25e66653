package validate_test

import (
	"strings"
	"testing"

	"mana.how/edge/caddymodule/api/endpoint/validate"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"a@b.co": true, "a.b+c@example.test": true, "ü@example.test": true, "o'neil@sub.example.test": true,
		"": false, "a": false, "@b.co": false, "a@": false, "a@localhost": false, "a b@c.de": false, "a..b@c.de": false,
		".a@c.de": false, "a@c..de": false, "a@-c.de": false, "a@c.1": false, `"a"@b.co": false`: false, "a@[1.2.3.4]": false,
		"a@b.co\n": true, " a@b.co ": true, "a\r@b.co": false, "a<b@c.de": false, strings.Repeat("a", 65) + "@b.co": false,
		"a@" + strings.Repeat("b", 64) + ".co": false, "A <a@b.co>": false,
	} {
		if got := validate.IsEmail(address); got != want {
			t.Errorf("IsEmail(%q) = %v", address, got)
		}
	}
	for address, want := range map[string][2]bool{ // without, with a TLD
		"https://example.test/a?b#c": {true, true}, "example.test": {true, true}, "ftp://example.test": {true, true},
		"http://localhost:3000": {true, false}, "http://127.0.0.1:8080/a": {true, true}, "http://[::1]/": {true, true},
		"": {false, false}, "javascript:alert(1)": {false, false}, "javascript://example.test/": {false, false},
		"data:text/html,x": {false, false}, "https://": {false, false}, "https://u:p@example.test": {false, false},
		"https://exa mple.test": {false, false}, "https://example.test/<b>": {false, false}, "//example.test": {false, false},
		"https://example.test/\x00": {false, false}, "http://example.test:port": {false, false},
	} {
		if got := [2]bool{validate.IsURL(address, false), validate.IsURL(address, true)}; got != want {
			t.Errorf("IsURL(%q) = %v, want %v", address, got, want)
		}
	}
}
