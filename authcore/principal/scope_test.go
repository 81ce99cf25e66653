package principal_test

import (
	"strings"
	"testing"

	"mana.how/edge/authcore/principal"
)

func TestScopes(t *testing.T) {
	t.Parallel()
	s := principal.ScopesOf("stt", "chat:write", "stt", "a b", "a,b", "", "ä", strings.Repeat("x", 65), "*")
	if s != "stt,chat:write,*" {
		t.Errorf("%q", s)
	}
	for scopes, want := range map[string]bool{"": true, "stt": true, "stt *": true, "STT": false, "chat": false, "stt chat": false} {
		if got := s.HasAll(strings.Fields(scopes)); got != want {
			t.Errorf("%q: %v", scopes, got)
		}
	}
	if principal.Scopes("").Has("") || principal.Scopes("").Has("stt") || len(principal.Scopes("").List()) != 0 {
		t.Error("no scopes allow something")
	}
}
