package authcore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// What one edge has signed verifies at every other, at commands that have no
// encryption key, and after a rotation; a key that leaked proves nothing any more.
func TestProofKeys(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	here, there := edge(t, db), edge(t, db)
	keyless := edge(t, db, func(c *authcore.Config) { c.Keyless, c.Secrets = true, secret.Keys{} })
	first, err := here.SignProof("kind", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	opens := func(s *authcore.Service, statement string) bool {
		payload, err := s.OpenProof(t.Context(), "kind", statement)
		if err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Error(err)
		}
		return err == nil && string(payload) == "one"
	}
	for name, s := range map[string]*authcore.Service{"here": here, "there": there, "keyless": keyless} {
		if !opens(s, first) {
			t.Errorf("%s does not verify", name)
		}
	}
	if _, err := here.OpenProof(t.Context(), "another", first); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("of another kind: %v", err)
	}
	if opens(here, strings.Replace(first, ".", ".x", 1)) {
		t.Error("an altered one verifies")
	}
	keys, err := here.ProofKeyList(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("%+v, %v", keys, err)
	}
	if tokens, err := here.Keys(t.Context()); err != nil || len(tokens) != 1 || tokens[0].ID == keys[0].ID {
		t.Errorf("the keys of tokens: %+v, %v", tokens, err)
	}
	made, err := here.RotateProofKey(t.Context(), operator, true)
	if err != nil {
		t.Fatal(err)
	}
	var second string
	eventually(t, 15*time.Second, "the new key signs there", func() bool {
		if second, err = there.SignProof("kind", []byte("one")); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(there.ProofKeys()), made.ID) && !sameKey(first, second)
	})
	if !opens(here, first) || !opens(here, second) || !opens(keyless, second) {
		t.Error("after a rotation not all verify")
	}
	if _, err := here.RevokeProofKey(t.Context(), operator, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	if opens(here, first) || !opens(here, second) {
		t.Error("what a leaked key has signed verifies, or what another has does not")
	}
	eventually(t, 15*time.Second, "the leaked key is none there", func() bool { return !opens(there, first) })
	if _, err := here.RevokeKey(t.Context(), operator, made.ID); !errors.Is(err, authcore.ErrKeyNotFound) {
		t.Errorf("a key of proofs among those of tokens: %v", err)
	}
	sealed, err := dbscope.Row[struct{ Text string }](t.Context(), db.Pool, dbscope.System(),
		`SELECT string_agg(private_key, ' ') AS text FROM auth.proof_keys`)
	if err != nil || strings.Contains(sealed.Text, `"d"`) {
		t.Errorf("private keys in clear: %v", err)
	}
}

// sameKey compares the headers of two statements, which name their keys.
func sameKey(a, b string) bool {
	x, _, _ := strings.Cut(a, ".")
	y, _, _ := strings.Cut(b, ".")
	return x == y
}
