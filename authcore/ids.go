package authcore

import (
	"crypto/rand"

	"github.com/google/uuid"
)

const (
	alphanumerics = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	urlSafe       = alphanumerics + "-_"

	idLength = 32
)

// newID returns 32 random alphanumerics (190 bits): the form of the ids of
// users, sessions and accounts, and of the cookie's token.
func newID() string { return randomText(alphanumerics, idLength) }

// newNano returns n random URL-safe characters of 6 bits each.
func newNano(n int) string { return randomText(urlSafe, n) }

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string { return uuid.Must(uuid.NewRandom()).String() }

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

// alphanumeric reports whether a text is made of ASCII letters and digits.
func alphanumeric[T ~string | ~[]byte](text T) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(text) > 0
}
