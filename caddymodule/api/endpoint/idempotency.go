package endpoint

import (
	"errors"

	"mana.how/edge/caddymodule/request"
)

// IdempotencyKey is the key by which the client tells a retry from a new
// request: the field idempotencyKey of the body, or the Idempotency-Key header.
// It is empty where there is neither. An empty or overlong key, or two that
// differ, are an [*Error] of status 400.
func (c *Call) IdempotencyKey(bodyField *string) (string, error) {
	const field, header = "idempotencyKey", request.IdempotencyKeyHeader
	name, values := header, c.Request.Header[header]
	switch {
	case len(values) == 0 && bodyField == nil:
		return "", nil
	case len(values) == 0:
		name, values = field, []string{*bodyField}
	case len(values) == 1 && bodyField != nil && *bodyField != values[0]:
		return "", Invalid(field + " and the header " + header + " must be the same")
	}
	err := request.CheckIdempotencyKey(values...)
	switch {
	case errors.Is(err, request.KeyNotUTF8):
		return "", Invalid(name + " must be valid Unicode text")
	case err != nil:
		return "", Invalid(name + " " + err.Error())
	}
	return values[0], nil
}

// Replayed marks the answer as that of an earlier request under the same key.
func (c *Call) Replayed() { c.Header.Set("Idempotency-Replayed", "true") }
