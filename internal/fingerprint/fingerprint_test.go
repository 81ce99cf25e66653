package fingerprint_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"mana.how/edge/internal/fingerprint"
)

// Fingerprints are stored, so that their bytes may not change.
func TestOf(t *testing.T) {
	t.Parallel()
	const want = "0f6e3ff88fc118be2ca49a634aefe37a409138b36252e8a4c3936e75b7e5ae00"
	if got := hex.EncodeToString(fingerprint.Of("create", "", "ä")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if bytes.Equal(fingerprint.Of("ab", "c"), fingerprint.Of("a", "bc")) || bytes.Equal(fingerprint.Of("a"), fingerprint.Of("a", "")) {
		t.Error("parts run into each other")
	}
}
