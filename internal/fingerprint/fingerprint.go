// Package fingerprint hashes requests, so that another one under the same
// idempotency key is told apart.
package fingerprint

import (
	"crypto/sha256"
	"fmt"
)

// Of is a SHA-256 hash of parts, none of which can run into the next.
func Of(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}
