package api

import (
	"strings"
	"unicode/utf8"
)

// maxKey bounds an idempotency key, in characters.
const maxKey = 255

// idempotencyKey is the key by which the client tells a retry from a new
// request: the field of the body, or the Idempotency-Key header. It is empty
// where there is neither. An empty or overlong key, or two that differ, are a
// [*problem] of status 400.
func (c *call) idempotencyKey(bodyField *string) (string, error) {
	const field, header = "idempotencyKey", "Idempotency-Key"
	values := c.r.Header[header]
	if len(values) > 1 {
		return "", invalid([]bodyFault{{text: header + " must not be repeated"}})
	}
	if len(values) == 0 {
		if bodyField == nil {
			return "", nil
		}
		return checkKey(field, *bodyField)
	}
	if bodyField != nil && *bodyField != values[0] {
		return "", invalid([]bodyFault{{text: field + " and the header " + header + " must be the same"}})
	}
	return checkKey(header, values[0])
}

func checkKey(name, key string) (string, error) {
	switch {
	case key == "":
		return "", invalid([]bodyFault{{text: name + " should not be empty"}})
	case !utf8.ValidString(key) || strings.ContainsRune(key, 0):
		return "", invalid([]bodyFault{{text: name + " " + faultUnicode}})
	case characters(key) > maxKey:
		return "", invalid([]bodyFault{{text: name + " must be shorter than or equal to 255 characters"}})
	}
	return key, nil
}

// replayed marks an answer as that of an earlier request under the same key.
func (c *call) replayed() { c.header.Set("Idempotency-Replayed", "true") }
