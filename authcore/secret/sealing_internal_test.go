package secret

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func testKeys(t *testing.T, legacy string) Keys {
	t.Helper()
	s, err := New("an encryption key that is long enough", legacy)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is sealed now is sealed with a derived key, under its id, also where the
// secret of the replaced service is set: that one only opens.
func TestSealedWithADerivedKey(t *testing.T) {
	t.Parallel()
	const legacySecret = "0123456789abcdef0123456789abcdef"
	plain, both := testKeys(t, ""), testKeys(t, legacySecret)
	rotated, err := New("another encryption key, long enough", legacySecret, "an encryption key that is long enough")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := both.Seal([]byte("text"))
	if err != nil || !strings.HasPrefix(sealed, plain.sealing[0].id+".") || !both.SealedByFirst(sealed) || rotated.SealedByFirst(sealed) {
		t.Fatalf("sealed as %s, %v", sealed, err)
	}
	for name, s := range map[string]Keys{"alone": plain, "beside a legacy secret": both, "among older keys": rotated} {
		if got, err := s.Open(sealed); err != nil || string(got) != "text" {
			t.Errorf("%s: opens as %q, %v", name, got, err)
		}
	}
	bare := sha256.Sum256([]byte(legacySecret))
	for _, key := range both.sealing[:1] {
		legacy, err := newSealingKey(key.id, bare[:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Keys{sealing: []sealingKey{legacy}}).Open(sealed); err == nil {
			t.Error("the bare hash of the legacy secret opens it")
		}
	}
	// What an early version has sealed without an id.
	_, early, _ := strings.Cut(sealed, ".")
	if got, err := rotated.Open(early); err != nil || string(got) != "text" {
		t.Errorf("without an id: %q, %v", got, err)
	}
}

// What is sealed for a place opens there and nowhere else.
func TestBoundSealing(t *testing.T) {
	t.Parallel()
	b := testKeys(t, "").Bound()
	sealed, err := b.Seal([]byte("text"), []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Open(sealed, []byte("here")); err != nil || string(got) != "text" {
		t.Errorf("here: %q, %v", got, err)
	}
	if got, err := b.Open(sealed, []byte("there")); err == nil {
		t.Errorf("there: %q", got)
	}
	if got, err := testKeys(t, "").Open(string(sealed)); err == nil {
		t.Errorf("without a place: %q", got)
	}
}
