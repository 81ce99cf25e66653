package clients_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// receiptCases are receipts of an edge that is none: one that verifies, and those that
// every client must refuse. The clients read them from a file.
type receiptCases struct {
	Issuer    string            `json:"issuer"`
	RequestID string            `json:"requestId"`
	Good      string            `json:"good"`
	Bad       map[string]string `json:"bad"`
}

var encoded = base64.RawURLEncoding

// signed is a JWS in compact form (RFC 7515, section 7.1), made by hand.
func signed(t *testing.T, key ed25519.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	text := encodedJSON(t, header) + "." + encodedJSON(t, claims)
	return text + "." + encoded.EncodeToString(ed25519.Sign(key, []byte(text)))
}

func encodedJSON(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded.EncodeToString(raw)
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// writeReceipts serves the keys of the cases until the test is over, and returns the
// file that has them.
func writeReceipts(t *testing.T) string {
	t.Helper()
	key, other := newKey(t), newKey(t)
	public := key.Public().(ed25519.PublicKey)
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": encoded.EncodeToString(public)}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/credits/jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) })
	keys := httptest.NewServer(mux)
	t.Cleanup(keys.Close)

	header := map[string]any{"alg": "EdDSA", "kid": "k", "typ": "mana-receipt+jwt"}
	claims := map[string]any{
		"iss": keys.URL, "iat": time.Now().Unix(), "jti": "a request", "sub": "a user", "payer": "org:acme", "cost": 2.5, "unit": "credits",
		"transactions": []string{"a row"}, "app": "chat",
	}
	headed := func(change map[string]any) string {
		h := maps.Clone(header)
		maps.Copy(h, change)
		return signed(t, key, h, claims)
	}
	claimed := func(change map[string]any) string {
		c := maps.Clone(claims)
		maps.Copy(c, change)
		return signed(t, key, header, c)
	}
	cases := receiptCases{Issuer: keys.URL, RequestID: "a request", Good: signed(t, key, header, claims)}
	parts := strings.Split(cases.Good, ".")

	// What is signed by the text of the public key, for who takes the algorithm of the token.
	symmetric := encodedJSON(t, map[string]any{"alg": "HS256", "kid": "k", "typ": "mana-receipt+jwt"}) + "." + parts[1]
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(symmetric))
	cases.Bad = map[string]string{
		"of another key":              signed(t, other, header, claims),
		"of an unknown key":           headed(map[string]any{"kid": "other"}),
		"of no key":                   headed(map[string]any{"kid": nil}),
		"unsigned":                    encodedJSON(t, map[string]any{"alg": "none", "typ": "mana-receipt+jwt"}) + "." + parts[1] + ".",
		"by HMAC":                     symmetric + "." + encoded.EncodeToString(mac.Sum(nil)),
		"of another algorithm's name": headed(map[string]any{"alg": "ES256"}),
		"of another type":             headed(map[string]any{"typ": "mana-root+jwt"}),
		"an assertion":                headed(map[string]any{"typ": "mana-assertion+jwt"}),
		"of no type":                  headed(map[string]any{"typ": nil}),
		"with an extension":           headed(map[string]any{"crit": []string{"b64"}, "b64": true}),
		"of another issuer":           claimed(map[string]any{"iss": "https://evil.test"}),
		"of tomorrow":                 claimed(map[string]any{"iat": time.Now().Add(24 * time.Hour).Unix()}),
		"without a time":              claimed(map[string]any{"iat": nil}),
		"without a request":           claimed(map[string]any{"jti": ""}),
		"without a user":              claimed(map[string]any{"sub": nil}),
		"without a payer":             claimed(map[string]any{"payer": ""}),
		"without a cost":              claimed(map[string]any{"cost": nil}),
		"with a cost in words":        claimed(map[string]any{"cost": "2.5"}),
		"with a cost below zero":      claimed(map[string]any{"cost": -1}),
		"in another unit":             claimed(map[string]any{"unit": "euro"}),
		"with another payload":        parts[0] + "." + encodedJSON(t, map[string]any{"iss": keys.URL, "cost": 0}) + "." + parts[2],
		"without its signature":       parts[0] + "." + parts[1],
		"with an empty signature":     parts[0] + "." + parts[1] + ".",
		"with a part more":            cases.Good + "." + parts[2],
		"with a space":                " " + cases.Good,
		"with a line":                 cases.Good + "\n",
		"padded":                      cases.Good + "==",
		"too long":                    claimed(map[string]any{"app": strings.Repeat("a", 8<<10)}),
		"empty":                       "",
	}
	for _, at := range []int{1, len(parts[0]) + 1, len(cases.Good) / 2, len(cases.Good) - 1} {
		cases.Bad["cut at "+cases.Good[at:]] = cases.Good[:at]
	}
	file := filepath.Join(t.TempDir(), "receipts.json")
	raw, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
