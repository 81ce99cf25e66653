package token_test

import (
	"errors"
	"testing"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// An assertion is no access token, whatever its audience.
func TestAssertionIsNoAccessToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	key, err := token.NewKey(token.EdDSA, now, now)
	if err != nil {
		t.Fatal(err)
	}
	claims := token.Claims{Issuer: "https://auth.example.test", Subject: "u1", Role: principal.RoleUser, SessionID: "s1"}
	signed, err := token.SignAssertion(key, claims, token.AssertedRequest{Audience: "manacore", Method: "GET", Host: "chat.example.test", Path: "/"}, now)
	if err != nil {
		t.Fatal(err)
	}
	keys := token.NewKeySet([]token.Key{key})
	if _, err := token.Verify(keys, signed, claims.Issuer, "manacore", now); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("as an access token: %v", err)
	}
	if _, typ, err := token.VerifyPayload(keys, signed, now); err != nil || typ.Type != token.AssertionType {
		t.Errorf("typ %q, %v", typ, err)
	}
}

// A gate waits for each assertion, so that beside the signature it costs next to nothing.
func TestAssertionCostsLittleBesideItsSignature(t *testing.T) {
	now := time.Now()
	key, err := token.NewKey(token.EdDSA, now, now)
	if err != nil {
		t.Fatal(err)
	}
	claims := token.Claims{Issuer: "https://auth.example.test", Subject: "u1", Role: principal.RoleUser, SessionID: "s1", Email: "ada@example.test"}
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := token.SignAssertion(key, claims, token.AssertedRequest{Audience: "chat", Method: "GET", Host: "chat.example.test", Path: "/a/b"}, now); err != nil {
			t.Error(err)
		}
	})
	if allocs > 30 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkSignAssertion(b *testing.B) {
	now := time.Now()
	key, err := token.NewKey(token.EdDSA, now, now)
	if err != nil {
		b.Fatal(err)
	}
	claims := token.Claims{Issuer: "https://auth.example.test", Subject: "u1", Role: principal.RoleUser, SessionID: "s1", Email: "ada@example.test"}
	for b.Loop() {
		if _, err := token.SignAssertion(key, claims, token.AssertedRequest{Audience: "chat", Method: "GET", Host: "chat.example.test", Path: "/a/b"}, now); err != nil {
			b.Fatal(err)
		}
	}
}
