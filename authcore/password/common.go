package password

import (
	_ "embed"
	"strings"
	"sync"
)

// commonPasswordLines holds the commonest passwords of 8 or more characters,
// lower case, one a line.
//
//go:embed commonpasswords.txt
var commonPasswordLines string

var commonPasswords = sync.OnceValue(func() map[string]struct{} {
	set := make(map[string]struct{}, 4096)
	for line := range strings.Lines(commonPasswordLines) {
		set[strings.TrimSpace(line)] = struct{}{}
	}
	delete(set, "")
	return set
})

// commonPassword reports whether a password is on the list in any case.
func commonPassword(password string) bool {
	_, common := commonPasswords()[strings.ToLower(password)]
	return common
}
