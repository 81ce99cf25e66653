package creditcore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"mana.how/edge/internal/fingerprint"
)

const (
	maxKey      = 255      // characters of an idempotency key
	maxText     = 4096     // bytes of a name or description
	maxMetadata = 64 << 10 // bytes
)

// text is a field of a request by its name on the wire.
type text struct{ field, value string }

// checkRequest refuses what no ledger row can hold, naming the first field.
func checkRequest(userID string, amount Amount, key string, metadata json.RawMessage, texts ...text) error {
	fault := func(field, fault string) error { return fmt.Errorf("%w: %s %s", ErrInvalid, field, fault) }
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
	for _, t := range append([]text{{"userId", userID}, {"idempotencyKey", key}}, texts...) {
		if len(t.value) > maxText {
			return fault(t.field, "is too long")
		}
		if !plain(t.value) {
			return fault(t.field, "must be text without NUL characters")
		}
	}
	return nil
}

func plain(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// storable reports whether PostgreSQL's jsonb takes the text as an object.
func storable(raw json.RawMessage) bool {
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(raw) && utf8.Valid(raw) && !bytes.Contains(raw, []byte(`\u0000`))
}

// fingerprintOf tells a request from another one under the same key. Metadata
// counts by its content, not by its spelling.
func fingerprintOf(kind string, amount Amount, metadata json.RawMessage, texts ...string) []byte {
	parts := append([]string{kind, amount.String()}, texts...)
	if len(metadata) > 0 {
		parts = append(parts, string(canonical(metadata)))
	}
	return fingerprint.Of(parts...)
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
