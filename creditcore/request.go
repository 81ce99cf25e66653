package creditcore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxKey      = 255      // characters of an idempotency key
	maxText     = 4096     // bytes of a name or description
	maxMetadata = 64 << 10 // bytes
)

// checkRequest refuses what no ledger row can hold, naming the field.
func checkRequest(userID string, amount Amount, key string, metadata json.RawMessage, texts map[string]string) error {
	fault := func(field, text string) error { return fmt.Errorf("%w: %s %s", ErrInvalid, field, text) }
	switch {
	case userID == "":
		return fault("userId", "is empty")
	case amount <= 0:
		return fault("amount", "must be a positive number")
	case amount > MaxAmount:
		return fault("amount", "must not be greater than "+MaxAmount.String())
	case utf8.RuneCountInString(key) > maxKey:
		return fault("idempotencyKey", "must be shorter than or equal to "+strconv.Itoa(maxKey)+" characters")
	case len(metadata) > maxMetadata:
		return fault("metadata", "is too large")
	case len(metadata) > 0 && !storable(metadata):
		return fault("metadata", "must be an object")
	}
	for field, text := range texts {
		if len(text) > maxText {
			return fault(field, "is too long")
		}
		if !plain(text) {
			return fault(field, "must be text without NUL characters")
		}
	}
	if !plain(key) || !plain(userID) {
		return fault("idempotencyKey", "must be text without NUL characters")
	}
	return nil
}

func plain(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// storable tells whether PostgreSQL's jsonb takes the text as an object.
func storable(raw json.RawMessage) bool {
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(raw) && utf8.Valid(raw) && !bytes.Contains(raw, []byte(`\u0000`))
}

// fingerprint marks a request, so that another one under the same key is told
// apart. Metadata counts by its content, not by its spelling.
func fingerprint(kind string, amount Amount, metadata json.RawMessage, texts ...string) []byte {
	h := sha256.New()
	part := func(b string) {
		fmt.Fprintf(h, "%d:", len(b))
		h.Write([]byte(b))
	}
	part(kind)
	part(amount.String())
	for _, t := range texts {
		part(t)
	}
	if len(metadata) > 0 {
		part(string(canonical(metadata)))
	}
	return h.Sum(nil)
}

// canonical spells a JSON value with sorted keys and without blanks.
func canonical(raw json.RawMessage) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return raw
	}
	out, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return out
}
