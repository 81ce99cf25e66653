package token

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// An RSA key is sealed, opened and published like the others, signs for clients, and no
// access token of a user is taken that it has signed.
func TestRSAKeys(t *testing.T) {
	t.Parallel()
	s := keySecrets(t, "")
	k, err := NewKey(RS256, issued, issued)
	if err != nil {
		t.Fatal(err)
	}
	if bits := k.Public.(*rsa.PublicKey).N.BitLen(); bits != rsaBits {
		t.Errorf("%d bits", bits)
	}
	public, private, err := Seal(s, k)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := openKey(s, k.ID, public, private)
	if err != nil || opened.Algorithm != RS256 || !opened.Public.Equal(k.Private.Public()) {
		t.Fatalf("opened as %v (%v)", opened.Algorithm, err)
	}
	other := rfcKey(t, "other")
	ks := NewKeySet([]Key{other, opened})
	for a, want := range map[Algorithm]string{EdDSA: "other", RS256: k.ID} {
		if got, ok := ks.Signer(a, issued); !ok || got.ID != want || !ks.Has(a, issued) {
			t.Errorf("%s is signed by %q", a, got.ID)
		}
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(ks.JWKS(issued), &set); err != nil {
		t.Fatal(err)
	}
	if got := set.Keys[1]; got["kty"] != "RSA" || got["alg"] != "RS256" || got["kid"] != k.ID || got["n"] == "" || got["e"] != "AQAB" || got["d"] != "" {
		t.Errorf("published as %v", got)
	}

	forged, err := Sign(opened, testClaims())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(ks, forged, testIssuer, testAudience, issued); !errors.Is(err, ErrInvalid) {
		t.Errorf("an access token by the RSA key: %v", err)
	}
	text, err := SignPayload(opened, "at+jwt", []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	payload, head, err := VerifyPayload(ks, text, issued)
	if err != nil || string(payload) != `{"a":1}` || head != (Header{KeyID: opened.ID, Type: "at+jwt"}) {
		t.Errorf("%s %q %v", payload, head, err)
	}
	gone := issued.Add(time.Minute)
	opened.GoneAt = &gone
	for name, keys := range map[string]*KeySet{"none": NewKeySet(nil), "another of its id": NewKeySet([]Key{rfcKey(t, k.ID)}), "one that is gone": NewKeySet([]Key{opened})} {
		if _, _, err := VerifyPayload(keys, text, gone); !errors.Is(err, ErrInvalid) {
			t.Errorf("by %s: %v", name, err)
		}
	}
	if _, _, err := VerifyPayload(ks, text[:len(text)-4]+"AAAA", issued); !errors.Is(err, ErrInvalid) {
		t.Errorf("forged: %v", err)
	}
	if _, err := NewKey("HS256", issued, issued); err == nil {
		t.Error("a key of no algorithm was made")
	}
}
