package token

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/ids"
)

const (
	testIssuer   = "https://auth.mana.how"
	testAudience = "manacore"
)

var issued = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// rfcKey is the key of RFC 8037, appendix A.1, and of RFC 8032, test 1.
func rfcKey(t testing.TB, id string) Key {
	t.Helper()
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return Key{ID: id, Algorithm: EdDSA, Public: private.Public().(ed25519.PublicKey), Private: private, CreatedAt: issued, SignsFrom: issued}
}

func testClaims() Claims {
	return Claims{
		Subject: "abcdefghijklmnopqrstuvwxyzABCDEF", Email: "ada@mana.how", Role: principal.RoleUser,
		SessionID: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", Issuer: testIssuer, Audience: testAudience,
		ID: "0123456789abcdefghijklmnopqrstuv", IssuedAt: issued, Expires: issued.Add(15 * time.Minute),
	}
}

// verifiedBy is what the claims are once a token of the key has been verified.
func verifiedBy(k Key, c Claims) Claims { c.KeyID = k.ID; return c }

// sign makes a token of any header and payload, as an attacker or another
// issuer may.
func sign(header, payload string, signature func(input []byte) []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(signature([]byte(input)))
}

func (k Key) signature(input []byte) []byte {
	return ed25519.Sign(k.Private.(ed25519.PrivateKey), input)
}

func payloadOf(t testing.TB, token string) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

// The signature of Ed25519 is deterministic, so a token of a fixed key is, too.
func TestGoldenToken(t *testing.T) {
	t.Parallel()
	const golden = "eyJhbGciOiJFZERTQSIsImtpZCI6InJmYzgwMzcifQ." +
		"eyJzdWIiOiJhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ekFCQ0RFRiIsImVtYWlsIjoiYWRhQG1hbmEuaG93Iiwicm9sZSI6InVz" +
		"ZXIiLCJzaWQiOiJBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWmFiY2RlZiIsImlzcyI6Imh0dHBzOi8vYXV0aC5tYW5hLmhvdyIs" +
		"ImF1ZCI6Im1hbmFjb3JlIiwiZXhwIjoxNzk1MzQyNTAwLCJpYXQiOjE3OTUzNDE2MDAsImp0aSI6IjAxMjM0NTY3ODlhYmNkZWZn" +
		"aGlqa2xtbm9wcXJzdHV2In0" +
		".cMwIVqvDSaThEMaw59QzEAIiZ0JF0mBKclcT7ULTyLn7D6q5ocsKvS0GPJ31FF2j-ywwZH88EkK8FIJxcqxdDw"
	k := rfcKey(t, "rfc8037")
	// A token without the claims that have come since is good still.
	claims, err := Verify(NewKeySet([]Key{k}), golden, testIssuer, testAudience, issued)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(verifiedBy(k, testClaims()), claims); diff != "" {
		t.Error(diff)
	}
	want := testClaims()
	want.EmailVerified, want.AuthEpoch = true, 7
	token, err := Sign(k, want)
	if err != nil {
		t.Fatal(err)
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil || string(header) != `{"alg":"EdDSA","kid":"rfc8037"}` {
		t.Errorf("header is %s (error %v)", header, err)
	}
	const payload = `{"aud":"manacore","auth_epoch":7,"email":"ada@mana.how","email_verified":true,` +
		`"exp":1795342500,"iat":1795341600,"iss":"https://auth.mana.how","jti":"0123456789abcdefghijklmnopqrstuv",` +
		`"role":"user","sid":"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef","sub":"abcdefghijklmnopqrstuvwxyzABCDEF"}`
	if diff := cmp.Diff(payload, payloadOf(t, token)); diff != "" {
		t.Error(diff)
	}
	if claims, err = Verify(NewKeySet([]Key{k}), token, testIssuer, testAudience, issued); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(verifiedBy(k, want), claims); diff != "" {
		t.Error(diff)
	}
}

// Another implementation of JOSE reads the key set and the tokens, and writes
// tokens that are read.
func TestTokenAgainstGoJOSE(t *testing.T) {
	t.Parallel()
	k := rfcKey(t, "rfc8037")
	ks := NewKeySet([]Key{k})
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ks.JWKS(issued), &set); err != nil {
		t.Fatal(err)
	}
	want := testClaims()
	want.OrganizationID, want.OrganizationRole = "org", "admin"
	token, err := Sign(k, want)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	var registered jwt.Claims
	if err := parsed.Claims(set, &registered); err != nil {
		t.Fatal(err)
	}
	expected := jwt.Expected{Issuer: testIssuer, AnyAudience: jwt.Audience{testAudience}, Subject: want.Subject, ID: want.ID, Time: issued}
	if err := registered.ValidateWithLeeway(expected, 0); err != nil {
		t.Error(err)
	}

	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: k.Private, KeyID: k.ID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := jwt.Signed(signer).Claims(jwt.Claims{
		Subject: want.Subject, Issuer: testIssuer, Audience: jwt.Audience{testAudience, "other"}, ID: want.ID,
		IssuedAt: jwt.NewNumericDate(issued), NotBefore: jwt.NewNumericDate(issued), Expiry: jwt.NewNumericDate(want.Expires),
	}).Claims(map[string]any{"email": want.Email, "role": "user", "sid": want.SessionID, "org": "org", "org_role": "admin"}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	claims, err := Verify(ks, foreign, testIssuer, testAudience, issued)
	if err != nil {
		t.Fatal(err)
	}
	want.NotBefore = issued
	if diff := cmp.Diff(verifiedBy(k, want), claims); diff != "" {
		t.Error(diff)
	}
}

func TestTokenIsASCII(t *testing.T) {
	t.Parallel()
	k := rfcKey(t, "k")
	want := testClaims()
	want.Email = "jörg\u2028\"\\<\U0001F600@exämple.de"
	token, err := Sign(k, want)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(token, ".") != 2 {
		t.Errorf("token %q has not three parts", token)
	}
	for _, part := range strings.Split(token, ".")[:2] {
		doc, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range doc {
			if b >= 0x80 {
				t.Fatalf("%q is not ASCII", doc)
			}
		}
	}
	claims, err := Verify(NewKeySet([]Key{k}), token, testIssuer, testAudience, issued)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(verifiedBy(k, want), claims); diff != "" {
		t.Error(diff)
	}
}

func TestSignTokenFaults(t *testing.T) {
	t.Parallel()
	k := rfcKey(t, "k")
	k.Private = nil
	if _, err := Sign(k, testClaims()); err == nil {
		t.Error("signed without a private key")
	}
	long := testClaims()
	long.Email = strings.Repeat("a", maxTokenLength)
	if _, err := Sign(rfcKey(t, "k"), long); err == nil {
		t.Error("signed a token that no verifier takes")
	}
}

func TestVerifyTokenHeaders(t *testing.T) {
	t.Parallel()
	k := rfcKey(t, "k")
	stranger, err := NewKey(EdDSA, issued, issued)
	if err != nil {
		t.Fatal(err)
	}
	ks := NewKeySet([]Key{k})
	good, err := Sign(k, testClaims())
	if err != nil {
		t.Fatal(err)
	}
	payload := payloadOf(t, good)
	parts := strings.Split(good, ".")
	none := func([]byte) []byte { return nil }
	hmacOf := func(secret []byte) func([]byte) []byte {
		return func(input []byte) []byte {
			mac := hmac.New(sha256.New, secret)
			mac.Write(input)
			return mac.Sum(nil)
		}
	}
	x := base64.RawURLEncoding.EncodeToString(stranger.Public.(ed25519.PublicKey))
	publicJWK, err := EncodeJWK(k.Public)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"as signed", good, nil},
		{"typ is ignored", sign(`{"typ":"JWT","alg":"EdDSA","kid":"k"}`, payload, k.signature), nil},
		{"alg none, no signature", sign(`{"alg":"none","kid":"k"}`, payload, none), errAlgorithm},
		{"alg none, right signature", sign(`{"alg":"none","kid":"k"}`, payload, k.signature), errAlgorithm},
		{"alg in other case", sign(`{"alg":"eddsa","kid":"k"}`, payload, k.signature), errMalformed},
		{"alg Ed25519", sign(`{"alg":"Ed25519","kid":"k"}`, payload, k.signature), errAlgorithm},
		{"HS256 with the public key", sign(`{"alg":"HS256","kid":"k"}`, payload, hmacOf(k.Public.(ed25519.PublicKey))), errAlgorithm},
		{"HS256 with the public JWK", sign(`{"alg":"HS256","kid":"k"}`, payload, hmacOf(publicJWK)), errAlgorithm},
		{"EdDSA over an HMAC with the public key", sign(`{"alg":"EdDSA","kid":"k"}`, payload, hmacOf(k.Public.(ed25519.PublicKey))), errSignature},
		{"RS256", sign(`{"alg":"RS256","kid":"k"}`, payload, k.signature), errAlgorithm},
		{"no alg", sign(`{"kid":"k"}`, payload, k.signature), errAlgorithm},
		{"alg is a number", sign(`{"alg":1,"kid":"k"}`, payload, k.signature), errMalformed},
		{"alg is null", sign(`{"alg":null,"kid":"k"}`, payload, k.signature), errMalformed},
		{"member in other case", sign(`{"ALG":"EdDSA","kid":"k"}`, payload, k.signature), errAlgorithm},
		{"crit", sign(`{"alg":"EdDSA","kid":"k","crit":["x"],"x":1}`, payload, k.signature), errMalformed},
		{"b64", sign(`{"alg":"EdDSA","kid":"k","b64":false}`, payload, k.signature), errMalformed},
		{"no kid", sign(`{"alg":"EdDSA"}`, payload, k.signature), ErrUnknownKey},
		{"empty kid", sign(`{"alg":"EdDSA","kid":""}`, payload, k.signature), ErrUnknownKey},
		{"kid is a list", sign(`{"alg":"EdDSA","kid":["k"]}`, payload, k.signature), errMalformed},
		{"unknown kid", sign(`{"alg":"EdDSA","kid":"K"}`, payload, k.signature), ErrUnknownKey},
		{"a path for a kid", sign(`{"alg":"EdDSA","kid":"../k"}`, payload, k.signature), ErrUnknownKey},
		{"key in the header", sign(`{"alg":"EdDSA","kid":"k","jwk":{"kty":"OKP","crv":"Ed25519","x":"`+x+`"}}`, payload, stranger.signature), errSignature},
		{"key by address", sign(`{"alg":"EdDSA","kid":"k","jku":"https://evil.example/jwks"}`, payload, stranger.signature), errSignature},
		{"signed by another Key", sign(`{"alg":"EdDSA","kid":"k"}`, payload, stranger.signature), errSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", errMalformed},
		{"signature cut", good[:len(good)-2], errSignature},
		{"payload of another", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload, `"user"`, `"admin"`, 1))) + "." + parts[2], errSignature},
		{"empty", "", errMalformed},
		{"dots", "..", errMalformed},
		{"two parts", parts[0] + "." + parts[1], errMalformed},
		{"four parts", good + ".", errMalformed},
		{"padded", good + "==", errMalformed},
		{"line feed", good + "\n", errMalformed},
		{"line feed inside", parts[0] + "." + parts[1] + "\n." + parts[2], errMalformed},
		{"blank", " " + good, errMalformed},
		{"standard alphabet", parts[0] + "." + parts[1] + "." + strings.Repeat("+", 86), errMalformed},
		{"header is no object", sign(`"EdDSA"`, payload, k.signature), errMalformed},
		{"header and more", sign(`{"alg":"EdDSA","kid":"k"}{}`, payload, k.signature), errSignature},
		{"too long", good + strings.Repeat("A", maxTokenLength), errMalformed},
	} {
		claims, err := Verify(ks, tt.token, testIssuer, testAudience, issued)
		if tt.want == nil {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if !errors.Is(err, tt.want) || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if claims != (Claims{}) {
			t.Errorf("%s: claims %+v of a refused token", tt.name, claims)
		}
	}
	// The unused bits of the last character are zero, so no other spelling of
	// the signature is the same token.
	for _, last := range "BCDEFGHIJKLMNOP" {
		if strings.HasSuffix(good, string(last)) {
			continue
		}
		if _, err := Verify(ks, good[:len(good)-1]+string(last), testIssuer, testAudience, issued); err == nil {
			t.Errorf("also verifies with %c at the end", last)
		}
	}
}

// Whatever the phrase, clients refresh on an expired token and on one whose
// key is gone.
func TestTextsOnWhichClientsRefresh(t *testing.T) {
	t.Parallel()
	for _, err := range []error{ErrExpired, ErrInvalid, ErrUnknownKey, &ClaimError{Claim: "aud"}, &ClaimError{Claim: "exp", Missing: true}} {
		text := strings.ToLower(err.Error())
		if !strings.Contains(text, "jwt expired") && !strings.Contains(text, "invalid token") && !strings.Contains(text, "claim") {
			t.Errorf("%q makes no client refresh", err)
		}
	}
}

func FuzzBearer(f *testing.F) {
	k := rfcKey(f, "k")
	ks := NewKeySet([]Key{k})
	good, err := Sign(k, testClaims())
	if err != nil {
		f.Fatal(err)
	}
	payload := payloadOf(f, good)
	f.Add(`{"alg":"EdDSA","kid":"k"}`, payload, good)
	f.Add(`{"alg":"none","kid":"k"}`, payload, good[:len(good)-1])
	f.Add(`{"alg":"EdDSA","kid":"k","alg":"HS256"}`, `{"aud":["a",1],"exp":1e9}`, "..")
	f.Fuzz(func(t *testing.T, header, payload, raw string) {
		// Nobody but the key signs, so only the token itself verifies.
		if _, err := Verify(ks, raw, testIssuer, testAudience, issued); (err == nil) != (raw == good) {
			t.Errorf("%q: error %v", raw, err)
		} else if err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("error %v is no ErrInvalid", err)
		}
		// Whatever gets signed, what verifies is what was asked for.
		token := sign(header, payload, k.signature)
		claims, err := Verify(ks, token, testIssuer, testAudience, issued)
		switch {
		case err != nil && (!errors.Is(err, ErrInvalid) || claims != (Claims{})):
			t.Errorf("claims %+v, error %v", claims, err)
		case err == nil && (claims.Issuer != testIssuer || claims.Audience != testAudience || claims.Subject == "" ||
			!claims.Role.Valid() || !claims.Expires.After(issued)):
			t.Errorf("claims %+v verify", claims)
		case err == nil:
			var read map[string]any
			if json.Unmarshal([]byte(header), &read) != nil || read["alg"] != "EdDSA" || read["kid"] != "k" {
				t.Errorf("header %q is accepted", header)
			}
		}
	})
}

func BenchmarkVerifyToken(b *testing.B) {
	k := rfcKey(b, ids.New())
	ks := NewKeySet([]Key{k})
	token, err := Sign(k, testClaims())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(ks, token, testIssuer, testAudience, issued); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignToken(b *testing.B) {
	k := rfcKey(b, ids.New())
	claims := testClaims()
	for b.Loop() {
		if _, err := Sign(k, claims); err != nil {
			b.Fatal(err)
		}
	}
}
