// Package ids makes random ids.
package ids

import "crypto/rand"

const (
	letters       = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alphanumerics = letters + "0123456789"
	// consonants spell no words (RFC 8628, section 6.1).
	consonants = "BCDFGHJKLMNPQRSTVWXZ"
)

// Length is how many characters an id has.
const Length = 32

// New returns 32 random alphanumerics (190 bits): the form of the ids of
// users, sessions and accounts, and of the cookie's token.
func New() string { return randomText(alphanumerics, Length) }

// Letters returns 32 random letters (182 bits): the form of the access tokens of
// OpenID clients.
func Letters() string { return randomText(letters, Length) }

// UserCode returns eight random consonants (34 bits) in two groups: the form of the
// codes that people type.
func UserCode() string {
	code := randomText(consonants, 8)
	return code[:4] + "-" + code[4:]
}

// randomText draws n characters of the alphabet without bias: bytes past the
// greatest multiple of its length are drawn again. It panics where the system
// has no randomness, as [rand.Read] does.
func randomText(alphabet string, n int) string {
	fair := 256 - 256%len(alphabet)
	text := make([]byte, 0, n)
	var pool [64]byte
	for len(text) < n {
		rand.Read(pool[:])
		for _, b := range pool {
			if int(b) < fair && len(text) < n {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text)
}

// Alphanumeric reports whether a text is made of ASCII letters and digits.
func Alphanumeric[T ~string | ~[]byte](text T) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(text) > 0
}
