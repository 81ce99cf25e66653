package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/chacha20poly1305"

	"mana.how/edge/authcore/secret"
)

func keySecrets(t testing.TB, legacy string) secret.Keys {
	t.Helper()
	s, err := secret.New("an encryption key that is long enough", legacy)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openKey(s secret.Keys, id, publicJWK, privateEnc string) (Key, error) {
	k := Key{ID: id}
	err := k.Open(s, publicJWK, privateEnc)
	return k, err
}

func TestSealKey(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]secret.Keys{"derived": keySecrets(t, ""), "legacy": keySecrets(t, "0123456789abcdef0123456789abcdef")} {
		k := rfcKey(t, "k")
		public, private, err := Seal(s, k)
		if err != nil {
			t.Fatal(err)
		}
		// The public JWK of RFC 8037, appendix A.2.
		if want := `{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`; public != want {
			t.Errorf("%s: public JWK %s, want %s", name, public, want)
		}
		if _, again, err := Seal(s, k); err != nil || again == private {
			t.Errorf("%s: a nonce was used twice (error %v)", name, err)
		}
		opened, err := openKey(s, "k", public, private)
		if err != nil {
			t.Fatal(err)
		}
		if opened.ID != "k" || !opened.Public.Equal(k.Public) || !opened.Public.Equal(k.Private.Public()) {
			t.Errorf("%s: the key is another after opening", name)
		}
		if text := fmt.Sprintf("%v %+v %#v", opened, opened, &opened); strings.Contains(text, "[") {
			t.Errorf("%s: the key prints as %s", name, text)
		}
	}
}

// A row as the replaced service wrote it, members in its order.
func TestOpenLegacyKey(t *testing.T) {
	t.Parallel()
	const legacySecret = "0123456789abcdef0123456789abcdef"
	const public = `{"crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kty":"OKP"}`
	const private = `{"crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kty":"OKP"}`
	encryption := sha256.Sum256([]byte(legacySecret))
	aead, err := chacha20poly1305.NewX(encryption[:])
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("twenty-four bytes nonce!")
	sealed := `"` + hex.EncodeToString(aead.Seal(nonce, nonce, []byte(private), nil)) + `"`
	k, err := openKey(keySecrets(t, legacySecret), "old", public, sealed)
	if err != nil {
		t.Fatal(err)
	}
	if !k.Public.Equal(rfcKey(t, "").Private.Public()) {
		t.Error("the private half is another")
	}
}

// sealingID is the id of the key that seals.
func sealingID(s secret.Keys) string {
	sealed, _ := s.Seal(nil)
	id, _, _ := strings.Cut(sealed, ".")
	return id
}

func TestOpenKeyFaults(t *testing.T) {
	t.Parallel()
	s := keySecrets(t, "")
	k := rfcKey(t, "k")
	public, private, err := Seal(s, k)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewKey(EdDSA, issued, issued)
	if err != nil {
		t.Fatal(err)
	}
	otherPublic, otherPrivate, err := Seal(s, other)
	if err != nil {
		t.Fatal(err)
	}
	otherSecrets, err := secret.New("another encryption key, long enough", "0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(private)
	flipped[len(flipped)-2] ^= 1
	for _, tt := range []struct {
		name, public, private string
		secrets               secret.Keys
		hasPublic             bool
	}{
		{"another encryption key", public, private, otherSecrets, true},
		{"another key's id", public, strings.Replace(private, sealingID(s), sealingID(otherSecrets), 1), s, true},
		{"bit flipped", public, string(flipped), s, true},
		{"private half of another", public, otherPrivate, s, true},
		{"public half of another", otherPublic, private, s, true},
		{"no private", public, "", s, true},
		{"private empty", public, `""`, s, true},
		{"private short", public, `"00"`, s, true},
		{"private not hex", public, `"` + strings.Repeat("zz", 60) + `"`, s, true},
		{"private clear", public, `{"kty":"OKP","crv":"Ed25519"}`, s, true},
		{"no public", "", private, s, false},
		{"public of another kind", `{"kty":"EC","crv":"P-256","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, private, s, false},
		{"public short", `{"kty":"OKP","crv":"Ed25519","x":"11qY"}`, private, s, false},
	} {
		opened, err := openKey(tt.secrets, "k", tt.public, tt.private)
		if err == nil || opened.Private != nil || (opened.Public != nil) != tt.hasPublic {
			t.Errorf("%s: public %x, private %v, error %v", tt.name, opened.Public, opened.Private != nil, err)
		}
	}
}

// rotation is a set with a key in each state at the given time.
func rotation(t testing.TB, now time.Time) *KeySet {
	t.Helper()
	at := func(d time.Duration) *time.Time { when := now.Add(d); return &when }
	var keys []Key
	for _, plan := range []struct {
		id        string
		signsFrom time.Duration
		goneAt    *time.Time
	}{
		{"gone", -3 * time.Hour, at(0)},
		{"retiring", -2 * time.Hour, at(time.Minute)},
		{"signing", -time.Hour, nil},
		{"announced", time.Hour, nil},
	} {
		k, err := NewKey(EdDSA, now.Add(-4*time.Hour), now.Add(plan.signsFrom))
		if err != nil {
			t.Fatal(err)
		}
		k.ID, k.GoneAt = plan.id, plan.goneAt
		keys = append(keys, k)
	}
	return NewKeySet(keys)
}

func TestKeyStates(t *testing.T) {
	t.Parallel()
	ks := rotation(t, issued)
	signer, ok := ks.Signer(EdDSA, issued)
	if !ok || signer.ID != "signing" {
		t.Fatalf("%q signs", signer.ID)
	}
	for _, k := range ks.All() {
		if got := k.state(issued, signer.ID); string(got) != k.ID {
			t.Errorf("key %q is %s", k.ID, got)
		}
		claims := testClaims()
		token, err := Sign(k, claims)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Verify(ks, token, testIssuer, testAudience, issued)
		if k.ID == "gone" && !errors.Is(err, ErrUnknownKey) || k.ID != "gone" && err != nil {
			t.Errorf("token of the %s key: %v", k.ID, err)
		}
	}
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{0, "signing"}, {time.Hour - 1, "signing"}, {time.Hour, "announced"}, {1000 * time.Hour, "announced"}, {-90 * time.Minute, "retiring"}, {-150 * time.Minute, "gone"}} {
		if k, ok := ks.Signer(EdDSA, issued.Add(tt.after)); !ok || k.ID != tt.want {
			t.Errorf("%v later %q signs, want %q", tt.after, k.ID, tt.want)
		}
	}
}

func TestSignerChoice(t *testing.T) {
	t.Parallel()
	a, b := rfcKey(t, "a"), rfcKey(t, "b")
	for _, keys := range [][]Key{{a, b}, {b, a}} {
		if k, ok := NewKeySet(keys).Signer(EdDSA, issued); !ok || k.ID != "b" {
			t.Errorf("of two alike, %q signs", k.ID)
		}
	}
	if k, ok := NewKeySet([]Key{a}).Signer(EdDSA, issued.Add(-time.Minute)); !ok || k.ID != "a" {
		t.Error("a clock that runs behind leaves nobody to sign")
	}
	// b was announced when c was made to sign at once.
	c := rfcKey(t, "c")
	b.SignsFrom, c.CreatedAt = issued.Add(time.Hour), issued.Add(50*time.Minute)
	c.SignsFrom = c.CreatedAt
	for after, want := range map[time.Duration]string{49 * time.Minute: "a", 51 * time.Minute: "c", 2 * time.Hour: "c"} {
		if k, ok := NewKeySet([]Key{a, b, c}).Signer(EdDSA, issued.Add(after)); !ok || k.ID != want {
			t.Errorf("after %v %q signs, want %q", after, k.ID, want)
		}
	}
	b.SignsFrom = issued
	sealed := a
	sealed.Private = nil
	sealed.SignsFrom = issued.Add(time.Second)
	if k, ok := NewKeySet([]Key{sealed, b}).Signer(EdDSA, issued.Add(time.Minute)); !ok || k.ID != "b" {
		t.Error("a key without its private half was chosen")
	}
	for _, keys := range [][]Key{nil, {sealed}} {
		if _, ok := NewKeySet(keys).Signer(EdDSA, issued.Add(time.Minute)); ok {
			t.Error("somebody signs without a key")
		}
	}
	if !NewKeySet(nil).Empty() || NewKeySet([]Key{a}).Empty() {
		t.Error("empty")
	}
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	ks := rotation(t, issued)
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(ks.JWKS(issued), &set); err != nil {
		t.Fatal(err)
	}
	var want []map[string]string
	for _, k := range ks.All()[1:] {
		want = append(want, map[string]string{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": base64.RawURLEncoding.EncodeToString(k.Public.(ed25519.PublicKey)), "kid": k.ID, "use": "sig"})
	}
	if diff := cmp.Diff(want, set.Keys); diff != "" {
		t.Error(diff)
	}
	if got := string(NewKeySet(nil).JWKS(issued)); got != `{"keys":[]}` {
		t.Errorf("empty set is %s", got)
	}
}

func TestKeySetIsASnapshot(t *testing.T) {
	t.Parallel()
	keys := []Key{rfcKey(t, "a"), rfcKey(t, "b")}
	ks := NewKeySet(keys)
	keys[0].ID, keys[1].Private = "x", nil
	ks.All()[0].Public = ed25519.PublicKey(nil)
	token, err := Sign(rfcKey(t, "a"), testClaims())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Verify(ks, token, testIssuer, testAudience, issued); err != nil {
				t.Error(err)
			}
			if k, ok := ks.Signer(EdDSA, issued); !ok || k.ID != "b" {
				t.Error("signer")
			}
			ks.JWKS(issued)
		})
	}
	wg.Wait()
}
