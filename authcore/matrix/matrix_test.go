package matrix_test

import (
	"strings"
	"testing"

	"mana.how/edge/authcore/matrix"
)

func TestCheckID(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"@ada:matrix.mana.how": true, "@Ada.B-c=_/+:example.org:8448": true, "@a:[2001:db8::1]:8448": true, "@a!b:example.org": true,
		"": false, "ada:example.org": false, "@ada": false, "@:example.org": false, "@ada:": false, "@a b:example.org": false, "@a:exa mple.org": false,
		"@a\x00:example.org": false, "@ä:example.org": false, "@a:example.org/x": false, "@a:b@example.org": false,
		"@" + strings.Repeat("a", 242) + ":example.org": true, "@" + strings.Repeat("a", 243) + ":example.org": false,
	} {
		if err := matrix.CheckID(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
