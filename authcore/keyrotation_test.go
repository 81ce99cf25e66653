package authcore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// A verification that is under way while its key is revoked leaves nothing
// behind: not on the edge that revokes, nor on another.
func TestRevokedKeyIsNotTakenAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	here, there := edge(t, db), edge(t, db)
	const tries, verifiers = 300, 4
	for try := range tries {
		kid := here.SigningKey()
		tokens := make([]string, verifiers)
		for i := range tokens {
			var err error
			if tokens[i], err = here.Issue("ada", "session"); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for i, access := range tokens {
			wg.Go(func() {
				at := []*authcore.Service{here, there}[i%2]
				for range 20 {
					_, _ = at.Verify(t.Context(), access)
				}
			})
		}
		if _, err := here.RevokeKey(t.Context(), operator, kid); err != nil {
			t.Fatal(err)
		}
		for _, access := range tokens {
			if _, err := here.Verify(t.Context(), access); !errors.Is(err, token.ErrInvalid) {
				t.Fatalf("try %d: a token of the revoked key: %v", try, err)
			}
		}
		wg.Wait()
		eventually(t, 15*time.Second, "the other edge refuses it", func() bool {
			return !slices.ContainsFunc(tokens, func(access string) bool {
				_, err := there.Verify(t.Context(), access)
				return err == nil
			})
		})
		for _, access := range tokens {
			if _, err := here.Verify(t.Context(), access); !errors.Is(err, token.ErrInvalid) {
				t.Fatalf("try %d: a token of the revoked key, later: %v", try, err)
			}
		}
	}
}

func TestRevokeKey(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	here, there := edge(t, db), edge(t, db)
	register(t, here, "ada@example.test")
	browser, err := here.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(s *authcore.Service) string {
		t.Helper()
		live, err := s.BrowserSession(t.Context(), []string{cookieOf(s, browser.Token)})
		if err != nil {
			t.Fatal(err)
		}
		access, _, err := s.Bearer(t.Context(), live)
		if err != nil {
			t.Fatal(err)
		}
		return access
	}
	passes := func(s *authcore.Service, access string) bool {
		_, err := s.Verify(t.Context(), access)
		return err == nil
	}
	leaked, before := here.SigningKey(), signIn(t, here, laptop, "ada@example.test")
	byCookie := bearer(here)
	if !passes(here, before.AccessToken) || !passes(there, before.AccessToken) {
		t.Fatal("refused before anything happened")
	}
	// An edge that was not heard for a while reads the session again, and signs again.
	eventually(t, 15*time.Second, "a token is handed out again", func() bool {
		last := byCookie
		byCookie = bearer(here)
		return byCookie == last
	})

	// What a token of the key opened ends, what a cookie opened goes on.
	opened := func(access string) (ended chan struct{}) {
		t.Helper()
		ended = make(chan struct{})
		w := revocation.Watch{SessionID: before.SessionID, UserID: before.User.ID, Revoked: func() { close(ended) }}
		if access != "" {
			c, err := there.Verify(t.Context(), access)
			if err != nil {
				t.Fatal(err)
			}
			w.KeyID = c.KeyID
		}
		if !there.Watch(&w) {
			t.Fatal("refused before anything happened")
		}
		t.Cleanup(func() { there.Unwatch(&w) })
		return ended
	}
	byToken, byNoToken := opened(before.AccessToken), opened("")

	began := time.Now()
	keys, err := here.RevokeKey(t.Context(), operator, leaked)
	if err != nil || len(keys) != 2 || keys[0].State != token.KeyRevoked || keys[1].State != token.KeySigning {
		t.Fatalf("keys %+v, %v", keys, err)
	}
	if passes(here, before.AccessToken) {
		t.Error("its tokens pass where it was revoked")
	}
	eventually(t, time.Second, "its tokens are refused elsewhere", func() bool { return !passes(there, before.AccessToken) })
	select {
	case <-byToken:
	case <-time.After(time.Second):
		t.Error("what one of its tokens opened goes on")
	}
	select {
	case <-byNoToken:
		t.Error("what a cookie opened ended")
	default:
	}
	late := revocation.Watch{SessionID: before.SessionID, UserID: before.User.ID, KeyID: leaked, Revoked: func() {}}
	if there.Watch(&late) {
		t.Error("a request that was verified just before goes on")
	}
	there.Unwatch(&late)
	if bearer(here) == byCookie {
		t.Error("a token of the revoked key goes on to apps")
	}
	after, err := here.Refresh(t.Context(), laptop, before.RefreshToken)
	if err != nil || !passes(here, after.AccessToken) || !passes(there, after.AccessToken) || !passes(there, bearer(here)) {
		t.Errorf("after %v the new key does not sign for all: %v", time.Since(began), err)
	}
	for _, s := range []*authcore.Service{here, there, edge(t, db)} {
		if strings.Contains(string(s.JWKS()), leaked) {
			t.Error("the key set names it")
		}
	}
	type stored struct{ PrivateKey string }
	row, err := dbscope.Row[stored](t.Context(), db.Pool, dbscope.System(), `SELECT private_key FROM auth.jwks WHERE id = $1`, leaked)
	if err != nil || row.PrivateKey != `""` {
		t.Errorf("the private half is %q, %v", row.PrivateKey, err)
	}

	if again, err := there.RevokeKey(t.Context(), operator, leaked); err != nil || len(again) != 2 {
		t.Errorf("once more: %+v, %v", again, err)
	}
	if _, err := there.RevokeKey(t.Context(), operator, "unknown"); !errors.Is(err, authcore.ErrKeyNotFound) {
		t.Errorf("an unknown key: %v", err)
	}
}

// Revoking the key that was to sign next leaves the one that signs, for as long
// as it takes.
func TestRevokeAnnouncedKey(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	signing := s.SigningKey()
	announced, err := s.RotateKeys(t.Context(), operator, token.EdDSA, false)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.RevokeKey(t.Context(), operator, announced.ID)
	if err != nil || len(keys) != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	if keys[0].ID != signing || keys[0].State != token.KeySigning || keys[0].GoneAt != nil || keys[1].State != token.KeyRevoked {
		t.Errorf("keys are %+v", keys)
	}
}

// What the list says is what happens: no key is announced that never signs,
// none signs from a time after it is gone, and one signs.
func TestKeyListIsTrue(t *testing.T) {
	t.Parallel()
	rotate := func(now bool) func(*testing.T, *authcore.Service) {
		return func(t *testing.T, s *authcore.Service) {
			if _, err := s.RotateKeys(t.Context(), operator, token.EdDSA, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	revoke := func(t *testing.T, s *authcore.Service) {
		if _, err := s.RevokeKey(t.Context(), operator, s.SigningKey()); err != nil {
			t.Fatal(err)
		}
	}
	announced, atOnce := rotate(false), rotate(true)
	for name, steps := range map[string][]func(*testing.T, *authcore.Service){
		"rotate": {announced}, "now": {atOnce}, "rotate, now": {announced, atOnce}, "rotate, rotate": {announced, announced},
		"rotate, rotate, now": {announced, announced, atOnce}, "now, now": {atOnce, atOnce}, "now, rotate": {atOnce, announced},
		"revoke": {revoke}, "rotate, revoke": {announced, revoke}, "now, revoke": {atOnce, revoke}, "revoke, revoke": {revoke, revoke},
		"rotate, now, revoke, rotate": {announced, atOnce, revoke, announced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := edge(t, pgtest.New(t))
			for _, step := range steps {
				step(t, s)
			}
			time.Sleep(1100 * time.Millisecond) // what signs at once has begun to
			keys, err := s.Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			soon := time.Now().Add(65 * time.Minute) // when the last ID token has expired
			signing := 0
			for i, k := range keys {
				switch k.State {
				case token.KeySigning:
					signing++
					if k.ID != s.SigningKey() {
						t.Errorf("key %d signs by the list only", i)
					}
				case token.KeyAnnounced:
					if i != len(keys)-1 && keys[i+1].State != token.KeyAnnounced || k.GoneAt != nil && !k.GoneAt.After(k.SignsFrom) {
						t.Errorf("key %d of %d is announced, and never signs: %+v", i, len(keys), k)
					}
				case token.KeyRetiring:
					if last := keys[len(keys)-1]; last.State == token.KeySigning && (k.GoneAt == nil || k.GoneAt.After(soon)) {
						t.Errorf("key %d has a successor and stays: %+v", i, k)
					}
				case token.KeyGone, token.KeyRevoked:
					if k.GoneAt == nil || k.GoneAt.After(time.Now()) || strings.Contains(string(s.JWKS()), k.ID) {
						t.Errorf("key %d is not gone: %+v", i, k)
					}
				}
			}
			if signing != 1 {
				t.Errorf("%d keys sign: %+v", signing, keys)
			}
			if newest := keys[len(keys)-1]; newest.GoneAt != nil {
				t.Errorf("the newest key goes: %+v", newest)
			}
		})
	}
}

// withSecrets gives an edge its encryption keys.
func withSecrets(t testing.TB, legacy string, keys ...string) func(*authcore.Config) {
	t.Helper()
	secrets, err := secret.New(keys[0], legacy, keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *authcore.Config) { c.Secrets = secrets }
}

func privateKeys(t testing.TB, db *pgtest.Database) []string {
	t.Helper()
	type stored struct{ PrivateKey string }
	list, err := dbscope.Rows[stored](t.Context(), db.Pool, dbscope.System(), `SELECT private_key FROM auth.jwks ORDER BY created_at, id`)
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(list))
	for i, row := range list {
		texts[i] = row.PrivateKey
	}
	return texts
}

// An encryption key is replaced with everybody signed in: cookies, refresh
// tokens and signing keys go on, and when the old key is taken out, what is
// stored is readable with the new one alone. An edge that has not been told the
// new key yet goes on too.
func TestEncryptionKeyRotates(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const key, next = testKey, "another key, as long as it takes"
	old := edge(t, db)
	register(t, old, "ada@example.test")
	tokens := signIn(t, old, laptop, "ada@example.test")
	browser, err := old.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookie := cookieOf(old, browser.Token)
	before := privateKeys(t, db)

	both := edge(t, db, withSecrets(t, "", next, key))
	if _, err := both.Verify(t.Context(), tokens.AccessToken); err != nil {
		t.Errorf("access token: %v", err)
	}
	if _, err := both.BrowserSession(t.Context(), []string{cookie}); err != nil {
		t.Errorf("cookie: %v", err)
	}
	eventually(t, 5*time.Second, "the signing key is sealed anew", func() bool { return privateKeys(t, db)[0] != before[0] })
	renewed, err := both.Refresh(t.Context(), laptop, tokens.RefreshToken)
	if err != nil {
		t.Fatalf("refresh token: %v", err)
	}
	if again, err := both.Refresh(t.Context(), laptop, tokens.RefreshToken); err != nil || again.RefreshToken != renewed.RefreshToken {
		t.Errorf("within the grace: %v", err)
	}
	if c, err := old.Verify(t.Context(), signIn(t, old, phone, "ada@example.test").AccessToken); err != nil || c.KeyID != both.SigningKey() {
		t.Errorf("an edge with the old key alone: %+v, %v", c, err)
	}

	alone := edge(t, db, withSecrets(t, "", next))
	if alone.SigningKey() != both.SigningKey() {
		t.Error("the signing key is another")
	}
	if _, err := alone.Verify(t.Context(), tokens.AccessToken); err != nil {
		t.Errorf("access token, with the new key alone: %v", err)
	}
	if _, err := alone.Refresh(t.Context(), laptop, renewed.RefreshToken); err != nil {
		t.Errorf("refresh token, with the new key alone: %v", err)
	}
	if _, err := alone.BrowserSession(t.Context(), []string{cookieOf(both, browser.Token)}); err != nil {
		t.Errorf("a cookie of the new key: %v", err)
	}
	if _, err := alone.BrowserSession(t.Context(), []string{cookie}); !errors.Is(err, authcore.ErrNoCookie) {
		t.Errorf("a cookie of the key that is gone: %v", err)
	}
}

// With the secret of the replaced service, its signing key is readable, and is
// sealed anew at the start, as new ones are, with the key that is derived.
func TestLegacyKeysAreSealedAnew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const legacy = "the secret of the service that was"
	first := edge(t, db) // makes a signing key
	tokens := func() string { access, _ := first.Issue("ada", "session"); return access }()
	kid := first.SigningKey()

	// Its private half, as the replaced service would have stored it.
	change(t, db, `UPDATE auth.jwks SET private_key = $1`, legacySealed(t, first, legacy))
	s := edge(t, db, withSecrets(t, legacy, testKey))
	if s.SigningKey() != kid {
		t.Fatal("the stored key does not sign")
	}
	if _, err := s.Verify(t.Context(), tokens); err != nil {
		t.Error(err)
	}
	derived := authcore.SealingKeyID(withSecretsOf(t, testKey))
	eventually(t, 5*time.Second, "it is sealed with the derived key", func() bool {
		return strings.HasPrefix(privateKeys(t, db)[0], `"`+derived+".")
	})
	if _, err := s.RotateKeys(t.Context(), operator, token.EdDSA, true); err != nil {
		t.Fatal(err)
	}
	for i, text := range privateKeys(t, db) {
		if !strings.HasPrefix(text, `"`+derived+".") {
			t.Errorf("key %d is sealed otherwise", i)
		}
	}
	edge(t, db) // the legacy secret is not needed any more
}

func withSecretsOf(t testing.TB, key string) secret.Keys {
	t.Helper()
	secrets, err := secret.New(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}

// legacySealed is the signing key of an edge under the bare SHA-256 of a secret.
func legacySealed(t testing.TB, s *authcore.Service, secret string) string {
	t.Helper()
	jwk, err := json.Marshal(s.SigningJWK())
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256([]byte(secret))
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		t.Fatal(err)
	}
	nonce := []byte("twenty-four bytes nonce!")
	return `"` + hex.EncodeToString(aead.Seal(nonce, nonce, jwk, nil)) + `"`
}
