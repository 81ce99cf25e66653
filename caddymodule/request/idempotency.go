package request

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// IdempotencyKeyHeader carries the key by which a client tells a retry from a
// new request.
const IdempotencyKeyHeader = "Idempotency-Key"

// MaxIdempotencyKey bounds an idempotency key, in characters.
const MaxIdempotencyKey = 255

// KeyError is why a text is no idempotency key: words that follow the name of
// the header or field it came in.
type KeyError string

func (e KeyError) Error() string { return string(e) }

// The reasons.
const (
	KeyRepeated KeyError = "must not be repeated"
	KeyEmpty    KeyError = "should not be empty"
	KeyNotUTF8  KeyError = "must be valid UTF-8"
)

// KeyTooLong refuses a key of more than [MaxIdempotencyKey] characters.
var KeyTooLong = KeyError("must be shorter than or equal to " + strconv.Itoa(MaxIdempotencyKey) + " characters")

// CheckIdempotencyKey fails with a [KeyError] unless the values of a header, or
// of a field, are one key.
func CheckIdempotencyKey(values ...string) error {
	switch {
	case len(values) > 1:
		return KeyRepeated
	case len(values) == 0 || values[0] == "":
		return KeyEmpty
	case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
		return KeyNotUTF8
	case utf8.RuneCountInString(values[0]) > MaxIdempotencyKey:
		return KeyTooLong
	}
	return nil
}
