package token_test

import (
	"errors"
	"fmt"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

func Example() {
	const issuer, audience = "https://auth.example.com", "apps"
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	key, err := token.NewKey(token.EdDSA, now, now)
	if err != nil {
		panic(err)
	}
	signed, err := token.Sign(key, token.Claims{
		Subject: "ada", Email: "ada@example.com", Role: principal.RoleUser, SessionID: "a session",
		Issuer: issuer, Audience: audience, ID: "a token", IssuedAt: now, Expires: now.Add(15 * time.Minute),
	})
	if err != nil {
		panic(err)
	}

	keys := token.NewKeySet([]token.Key{key})
	claims, err := token.Verify(keys, signed, issuer, audience, now.Add(time.Minute))
	fmt.Println(claims.Subject, claims.Role, err)
	_, err = token.Verify(keys, signed, issuer, audience, now.Add(time.Hour))
	fmt.Println(errors.Is(err, token.ErrExpired))
	_, err = token.Verify(keys, signed, issuer, "another audience", now)
	fmt.Println(err)
	// Output:
	// ada user <nil>
	// true
	// unexpected "aud" claim value
}
