package token_test

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

func TestIssuerOf(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	for raw, want := range map[string]string{
		"e30." + encode([]byte(`{"iss":"https://a.example"}`)) + ".x": "https://a.example",
		"." + encode([]byte(`{"iss":"a"}`)):                           "a",
		"e30." + encode([]byte(`{"iss":7}`)) + ".x":                   "",
		"e30." + encode([]byte(`{}`)) + ".x":                          "",
		"e30." + encode([]byte(`[`)) + ".x":                           "",
		"e30.!.x":                                                     "",
		"e30":                                                         "",
		"":                                                            "",
		"sk_live_1234":                                                "",
		"e30." + encode([]byte(`{"iss":"a","x":"`+strings.Repeat("x", 8<<10)+`"}`)) + ".x": "",
	} {
		if got := token.IssuerOf(raw); got != want {
			t.Errorf("%.40q: %q, want %q", raw, got, want)
		}
	}
}

// Of a token of another issuer counts who it is of and until when, and nothing that is
// that issuer's business.
func TestVerifyForeign(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k, err := token.NewKey(token.EdDSA, now, now)
	if err != nil {
		t.Fatal(err)
	}
	keys := token.NewKeySet([]token.Key{k})
	signed, err := token.Sign(k, token.Claims{
		Subject: "ada", Email: "ada@example.com", EmailVerified: true, Role: principal.RoleAdmin, AuthEpoch: 7, SessionID: "s",
		OrganizationID: "o", OrganizationRole: "owner", AuthTime: now, Methods: "pwd", APIKeyID: "k", Scopes: "all",
		Issuer: "old", Audience: "manacore", Expires: now.Add(time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := token.VerifyForeign(keys, signed, "old", "manacore", now)
	if err != nil || c.Subject != "ada" || c.SessionID != "s" || c.KeyID != k.ID || c.Expires.Unix() != now.Add(time.Minute).Unix() {
		t.Fatalf("%+v, %v", c, err)
	}
	if c.EmailVerified || c.AuthEpoch != 0 || c.OrganizationID != "" || c.OrganizationRole != "" || !c.AuthTime.IsZero() || c.Methods != "" || c.APIKeyID != "" || c.Scopes != "" {
		t.Errorf("it says more than it may: %+v", c)
	}
	for _, of := range [][2]string{{"new", "manacore"}, {"old", "wiki"}} {
		if _, err := token.VerifyForeign(keys, signed, of[0], of[1], now); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("as of %v: %v", of, err)
		}
	}
	if _, err := token.VerifyForeign(token.NewKeySet(nil), signed, "old", "manacore", now); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("without its key: %v", err)
	}
	payload := []byte(`{"iss":"old","aud":"manacore","sub":"ada","role":"user","exp":` + strconv.FormatInt(now.Add(time.Minute).Unix(), 10) + `}`)
	for typ, ok := range map[string]bool{"": true, "JWT": true, "jwt": true, "at+jwt": false, "logout+jwt": false} {
		signed, err := token.SignPayload(k, typ, payload)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.VerifyForeign(keys, signed, "old", "manacore", now); (err == nil) != ok {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
}
