package token

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"mana.how/edge/authcore/principal"
)

func TestVerifyTokenClaims(t *testing.T) {
	t.Parallel()
	k := rfcKey(t, "k")
	ks := NewKeySet([]Key{k})
	base := map[string]any{
		"sub": "u", "email": "ada@mana.how", "role": "user", "sid": "s", "iss": testIssuer, "aud": testAudience,
		"exp": issued.Unix() + 900, "iat": issued.Unix(), "jti": "j",
	}
	missing := struct{}{}
	for _, tt := range []struct {
		name  string
		set   map[string]any
		want  string // text of the error
		claim string // Claim of a *ClaimError
	}{
		{"as issued", nil, "", ""},
		{"no email, sid, iat, jti", map[string]any{"email": missing, "sid": missing, "iat": missing, "jti": missing}, "", ""},
		{"unknown claim", map[string]any{"app_settings": map[string]any{"b2b": true}}, "", ""},
		{"admin", map[string]any{"role": "admin"}, "", ""},

		{"aud in a list", map[string]any{"aud": []string{"other", testAudience}}, "", ""},
		{"aud foreign", map[string]any{"aud": "other"}, `unexpected "aud" claim value`, "aud"},
		{"aud foreign in a list", map[string]any{"aud": []string{"other", "another"}}, `unexpected "aud" claim value`, "aud"},
		{"aud empty list", map[string]any{"aud": []string{}}, `unexpected "aud" claim value`, "aud"},
		{"aud empty", map[string]any{"aud": ""}, `unexpected "aud" claim value`, "aud"},
		{"aud longer", map[string]any{"aud": testAudience + "x"}, `unexpected "aud" claim value`, "aud"},
		{"aud missing", map[string]any{"aud": missing}, `missing required "aud" claim`, "aud"},
		{"aud null", map[string]any{"aud": nil}, "Invalid token", ""},
		{"aud number", map[string]any{"aud": 1}, "Invalid token", ""},
		{"aud mixed list", map[string]any{"aud": []any{testAudience, 1}}, "Invalid token", ""},
		{"aud nested list", map[string]any{"aud": []any{[]string{testAudience}}}, "Invalid token", ""},
		{"iss foreign", map[string]any{"iss": "https://evil.example"}, `unexpected "iss" claim value`, "iss"},
		{"iss with a slash", map[string]any{"iss": testIssuer + "/"}, `unexpected "iss" claim value`, "iss"},
		{"iss missing", map[string]any{"iss": missing}, `missing required "iss" claim`, "iss"},
		{"iss list", map[string]any{"iss": []string{testIssuer}}, "Invalid token", ""},

		{"sub missing", map[string]any{"sub": missing}, `missing required "sub" claim`, "sub"},
		{"sub empty", map[string]any{"sub": ""}, `unexpected "sub" claim value`, "sub"},
		{"sub number", map[string]any{"sub": 1}, "Invalid token", ""},
		{"role missing", map[string]any{"role": missing}, `missing required "role" claim`, "role"},
		{"role unknown", map[string]any{"role": "root"}, `unexpected "role" claim value`, "role"},
		{"role bool", map[string]any{"role": true}, "Invalid token", ""},
		{"email object", map[string]any{"email": map[string]any{}}, "Invalid token", ""},
		{"email_verified and auth_epoch", map[string]any{"email_verified": true, "auth_epoch": 1<<31 - 1}, "", ""},
		{"email_verified text", map[string]any{"email_verified": "true"}, "Invalid token", ""},
		{"email_verified null", map[string]any{"email_verified": nil}, "Invalid token", ""},
		{"email_verified number", map[string]any{"email_verified": 1}, "Invalid token", ""},
		{"auth_epoch text", map[string]any{"auth_epoch": "1"}, "Invalid token", ""},
		{"auth_epoch null", map[string]any{"auth_epoch": nil}, "Invalid token", ""},
		{"auth_epoch negative", map[string]any{"auth_epoch": -1}, "Invalid token", ""},
		{"auth_epoch fraction", map[string]any{"auth_epoch": 1.5}, "Invalid token", ""},
		{"auth_epoch overflow", map[string]any{"auth_epoch": 1 << 31}, "Invalid token", ""},
		{"sid null", map[string]any{"sid": nil}, "Invalid token", ""},

		{"exp this second", map[string]any{"exp": issued.Unix()}, `jwt expired: "exp" claim timestamp check failed`, ""},
		{"exp long ago", map[string]any{"exp": issued.Unix() - 3600}, `jwt expired: "exp" claim timestamp check failed`, ""},
		{"exp zero", map[string]any{"exp": 0}, `jwt expired: "exp" claim timestamp check failed`, ""},
		{"exp within what other claims have for Leeway", map[string]any{"exp": issued.Unix() - 1}, `jwt expired: "exp" claim timestamp check failed`, ""},
		{"exp next second", map[string]any{"exp": issued.Unix() + 1}, "", ""},
		{"exp fraction", map[string]any{"exp": float64(issued.Unix()) + 1.5}, "", ""},
		{"exp the longest life away", map[string]any{"exp": issued.Unix() + 24*3600 + 30}, "", ""},
		{"exp later than any token of ours", map[string]any{"exp": issued.Unix() + 24*3600 + 31}, `unexpected "exp" claim value`, "exp"},
		{"exp missing", map[string]any{"exp": missing}, `missing required "exp" claim`, "exp"},
		{"exp null", map[string]any{"exp": nil}, "Invalid token", ""},
		{"exp text", map[string]any{"exp": "tomorrow"}, "Invalid token", ""},
		{"exp huge", map[string]any{"exp": json.RawMessage("1e300")}, "Invalid token", ""},
		{"exp overflow", map[string]any{"exp": json.RawMessage("1e999")}, "Invalid token", ""},
		{"exp negative", map[string]any{"exp": -1}, `jwt expired: "exp" claim timestamp check failed`, ""},

		{"iat within Leeway", map[string]any{"iat": issued.Unix() + 30}, "", ""},
		{"iat past Leeway", map[string]any{"iat": issued.Unix() + 31}, `"iat" claim timestamp check failed`, "iat"},
		{"nbf now", map[string]any{"nbf": issued.Unix()}, "", ""},
		{"nbf within Leeway", map[string]any{"nbf": issued.Unix() + 30}, "", ""},
		{"nbf past Leeway", map[string]any{"nbf": issued.Unix() + 31}, `"nbf" claim timestamp check failed`, "nbf"},
		{"nbf text", map[string]any{"nbf": "now"}, "Invalid token", ""},
		{"iat list", map[string]any{"iat": []int{1}}, "Invalid token", ""},
	} {
		claims := make(map[string]any)
		for name, value := range base {
			claims[name] = value
		}
		for name, value := range tt.set {
			claims[name] = value
			if value == missing {
				delete(claims, name)
			}
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		token := sign(`{"alg":"EdDSA","kid":"k"}`, string(payload), k.signature)
		got, err := Verify(ks, token, testIssuer, testAudience, issued)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != tt.want {
			t.Errorf("%s: error %q, want %q", tt.name, text, tt.want)
		}
		if err == nil {
			continue
		}
		if got != (Claims{}) || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: claims %+v, error %v", tt.name, got, err)
		}
		var fault *ClaimError
		if errors.As(err, &fault) != (tt.claim != "") || (fault != nil && fault.Claim != tt.claim) {
			t.Errorf("%s: claim fault %+v", tt.name, fault)
		}
		if errors.Is(err, ErrExpired) != strings.HasPrefix(tt.want, "jwt expired") {
			t.Errorf("%s: expired or not?", tt.name)
		}
	}
}

func TestVerifyTokenPayloads(t *testing.T) {
	t.Parallel()
	k := rfcKey(t, "k")
	good, err := Sign(k, testClaims())
	if err != nil {
		t.Fatal(err)
	}
	payload := payloadOf(t, good)
	for name, doc := range map[string]string{
		"nothing":       "",
		"null":          "null",
		"list":          "[" + payload + "]",
		"text":          `"` + testAudience + `"`,
		"twice":         payload + payload,
		"trailing text": payload + "x",
		"cut":           payload[:len(payload)-1],
		"deep":          `{"x":` + strings.Repeat("[", 5000),
	} {
		token := sign(`{"alg":"EdDSA","kid":"k"}`, doc, k.signature)
		if _, err := Verify(NewKeySet([]Key{k}), token, testIssuer, testAudience, issued); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// Members in other case are other members.
	token := sign(`{"alg":"EdDSA","kid":"k"}`, strings.Replace(payload, `"role":"user"`, `"role":"user","Role":"admin"`, 1), k.signature)
	claims, err := Verify(NewKeySet([]Key{k}), token, testIssuer, testAudience, issued)
	if err != nil || claims.Role != principal.RoleUser {
		t.Errorf("role %q, error %v", claims.Role, err)
	}
}
