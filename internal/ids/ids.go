// Package ids makes random ids.
package ids

import "crypto/rand"

const alphanumerics = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Length is how many characters an id has.
const Length = 32

// New returns 32 random alphanumerics (190 bits): the form of the ids of
// users, sessions and accounts, and of the cookie's token.
func New() string { return randomText(alphanumerics, Length) }

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
