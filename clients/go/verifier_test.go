package manaid_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	manaid "mana.how/edge/clients/go"
)

// issuer signs as an edge does, and counts how often its keys are fetched.
type issuer struct {
	*httptest.Server
	keys    map[string]ed25519.PrivateKey
	fetched atomic.Int32
	away    atomic.Bool
}

func newIssuer(t *testing.T, kids ...string) *issuer {
	i := &issuer{keys: map[string]ed25519.PrivateKey{}}
	for _, kid := range kids {
		i.add(kid)
	}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetched.Add(1)
		if i.away.Load() || r.URL.Path != "/.well-known/jwks.json" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var list []map[string]string
		for kid, key := range i.keys {
			list = append(list, map[string]string{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": b64(key.Public().(ed25519.PublicKey))})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": list})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) add(kid string) {
	_, key, _ := ed25519.GenerateKey(nil)
	i.keys[kid] = key
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a JWS by hand, so that nothing of the library under test is trusted.
func (i *issuer) sign(t *testing.T, kid, typ string, claims map[string]any) string {
	t.Helper()
	header, _ := json.Marshal(map[string]string{"alg": "EdDSA", "kid": kid, "typ": typ})
	payload, _ := json.Marshal(claims)
	signed := b64(header) + "." + b64(payload)
	return signed + "." + b64(ed25519.Sign(i.keys[kid], []byte(signed)))
}

func (i *issuer) claims(change map[string]any) map[string]any {
	empty := sha256.Sum256([]byte("a=1&b=%20"))
	c := map[string]any{
		"iss": i.URL, "aud": "chat", "sub": "u1", "sid": "s1", "role": "user", "email": "ada@example.test", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"htm": "GET", "host": "chat.example.test", "path": "/a%2Fb", "qh": b64(empty[:]),
	}
	maps.Copy(c, change)
	return c
}

const assertionType = "mana-assertion+jwt"

func ask(assertions ...string) *http.Request {
	r := httptest.NewRequest("GET", "https://chat.example.test/a%2Fb?a=1&b=%20", nil)
	for _, a := range assertions {
		r.Header.Add("X-Mana-Assertion", a)
	}
	return r
}

// An assertion serves one app, one request and one minute.
func TestAssertionIsBoundToTheRequest(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "k1")
	v := manaid.NewVerifier(manaid.VerifierConfig{Issuer: i.URL, Audience: "chat"})
	good := i.sign(t, "k1", assertionType, i.claims(nil))
	who, err := v.Assertion(ask(good))
	if err != nil || who.UserID != "u1" || who.SessionID != "s1" || who.Email != "ada@example.test" {
		t.Fatalf("%+v, %v", who, err)
	}
	for name, change := range map[string]func(*http.Request){
		"another method": func(r *http.Request) { r.Method = "POST" },
		"another path":   func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "" },
		"another query":  func(r *http.Request) { r.URL.RawQuery = "a=2" },
		"another host":   func(r *http.Request) { r.Host = "other.example.test" },
		"none":           func(r *http.Request) { r.Header = http.Header{} },
		"two":            func(r *http.Request) { r.Header.Add("X-Mana-Assertion", good) },
		"changed":        func(r *http.Request) { r.Header.Set("X-Mana-Assertion", good[:len(good)-8]+"AAAAAAAA") },
	} {
		r := ask(good)
		change(r)
		if who, err := v.Assertion(r); !errors.Is(err, manaid.ErrInvalid) || who.UserID != "" {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	for name, change := range map[string]map[string]any{
		"another app":    {"aud": "notes"},
		"another issuer": {"iss": "https://evil.test"},
		"expired":        {"exp": time.Now().Add(-time.Second).Unix()},
		"not yet":        {"iat": time.Now().Add(time.Hour).Unix()},
		"nobody":         {"sub": ""},
	} {
		if _, err := v.Assertion(ask(i.sign(t, "k1", assertionType, i.claims(change)))); !errors.Is(err, manaid.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := v.Assertion(ask(i.sign(t, "k1", "", i.claims(nil)))); !errors.Is(err, manaid.ErrInvalid) {
		t.Errorf("an access token is taken for an assertion: %v", err)
	}
	if _, err := v.Token(t.Context(), good); !errors.Is(err, manaid.ErrInvalid) {
		t.Errorf("an assertion is taken for an access token: %v", err)
	}
	if _, err := v.Token(t.Context(), i.sign(t, "k1", "", i.claims(nil))); err != nil {
		t.Errorf("an access token: %v", err)
	}
}

// The algorithm is that of the key, never what the token says.
func TestTokenChoosesNoAlgorithm(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "k1")
	v := manaid.NewVerifier(manaid.VerifierConfig{Issuer: i.URL, Audience: "chat"})
	payload, _ := json.Marshal(i.claims(nil))
	for _, alg := range []string{"none", "HS256"} {
		signed := b64([]byte(`{"alg":"`+alg+`","kid":"k1"}`)) + "." + b64(payload)
		mac := hmac.New(sha256.New, i.keys["k1"].Public().(ed25519.PublicKey))
		mac.Write([]byte(signed))
		if _, err := v.Token(t.Context(), signed+"."+b64(mac.Sum(nil))); !errors.Is(err, manaid.ErrInvalid) {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// A key never seen has the set fetched again, and who makes ids up costs one fetch.
func TestKeysAreFetchedAgain(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "k1")
	now := time.Now()
	v := manaid.NewVerifier(manaid.VerifierConfig{Issuer: i.URL, Audience: "chat", Now: func() time.Time { return now }})
	token := func(kid string) string {
		return i.sign(t, kid, "", i.claims(map[string]any{"exp": now.Add(time.Hour).Unix()}))
	}
	for range 3 {
		if _, err := v.Token(t.Context(), token("k1")); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.fetched.Load(); n != 1 {
		t.Errorf("%d fetches for one key", n)
	}
	i.add("k2")
	now = now.Add(6 * time.Second)
	if _, err := v.Token(t.Context(), token("k2")); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	i.keys["made-up"] = i.keys["k1"]
	unknown := token("made-up")
	delete(i.keys, "made-up")
	for range 5 {
		if _, err := v.Token(t.Context(), unknown); !errors.Is(err, manaid.ErrInvalid) {
			t.Errorf("an unknown key: %v", err)
		}
	}
	if n := i.fetched.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	// While the edge is away, the keys it had are good for some minutes, and no longer.
	i.away.Store(true)
	now = now.Add(2 * time.Minute)
	if _, err := v.Token(t.Context(), token("k1")); err != nil {
		t.Errorf("while the edge is away: %v", err)
	}
	now = now.Add(10 * time.Minute)
	if _, err := v.Token(t.Context(), token("k1")); err == nil || errors.Is(err, manaid.ErrInvalid) {
		t.Errorf("after long: %v", err)
	}
}
