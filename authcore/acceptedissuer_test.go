package authcore_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// oldService is another service that issues access tokens.
type oldService struct {
	*httptest.Server
	iss   string
	key   token.Key
	asked atomic.Int64
	away  atomic.Bool
}

func newOldService(t *testing.T, iss string) *oldService {
	t.Helper()
	o := &oldService{iss: iss}
	var err error
	if o.key, err = token.NewKey(token.EdDSA, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		o.asked.Add(1)
		if o.away.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(token.NewKeySet([]token.Key{o.key}).JWKS(time.Now()))
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *oldService) config() issuer.Config { return issuer.Config{Issuer: o.iss, JWKS: o.URL} }

func (o *oldService) accepted(c *authcore.Config) {
	c.AcceptedIssuers = append(c.AcceptedIssuers, o.config())
}

// sign makes a token as the service does, changed.
func (o *oldService) sign(t *testing.T, userID string, changes ...func(*token.Claims)) string {
	t.Helper()
	c := token.Claims{
		Subject: userID, Email: "as-it-was@example.test", Role: principal.RoleUser, SessionID: "old-session", Issuer: o.iss, Audience: "manacore",
		Expires: time.Now().Add(15 * time.Minute),
	}
	for _, f := range changes {
		f(&c)
	}
	signed, err := token.Sign(o.key, c)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Tokens of an accepted issuer are taken, and who their user is stands here.
func TestTokensOfAnAcceptedIssuer(t *testing.T) {
	t.Parallel()
	for name, iss := range map[string]string{"of another name": "manacore", "of our own name": "https://auth.example.test"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			old := newOldService(t, iss)
			s := edge(t, db, old.accepted)
			u := register(t, s, "ada@example.test")
			change(t, db, `UPDATE auth.users SET role = 'admin', email_verified = true WHERE id = $1`, u.ID)
			bearer := old.sign(t, u.ID, func(c *token.Claims) { c.Role, c.AuthEpoch = principal.RoleService, 99 })
			for range 3 {
				c, err := s.Verify(t.Context(), bearer)
				if err != nil || c.Subject != u.ID || c.Role != principal.RoleAdmin || c.Email != "ada@example.test" || !c.EmailVerified || c.AuthEpoch != 0 {
					t.Fatalf("%+v, %v", c, err)
				}
			}
			if n := old.asked.Load(); n != 1 {
				t.Errorf("the keys were asked for %d times", n)
			}
			// Our own tokens are what they were.
			callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
		})
	}
}

// What is wrong with a token of ours is wrong with theirs.
func TestTokensOfAnAcceptedIssuerAreChecked(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	old, stranger := newOldService(t, "manacore"), newOldService(t, "manacore")
	other := newOldService(t, "other")
	s := edge(t, db, old.accepted, other.accepted)
	u := register(t, s, "ada@example.test")
	if _, err := s.Verify(t.Context(), old.sign(t, u.ID)); err != nil {
		t.Fatal(err)
	}
	typed, err := token.SignPayload(old.key, "logout+jwt", []byte(`{"iss":"manacore","aud":"manacore","sub":"`+u.ID+`","role":"user","exp":`+strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)+`}`))
	if err != nil {
		t.Fatal(err)
	}
	own := signIn(t, s, laptop, "ada@example.test").AccessToken
	parts := strings.Split(old.sign(t, u.ID), ".")
	for name, bearer := range map[string]string{
		"expired":                           old.sign(t, u.ID, func(c *token.Claims) { c.Expires = time.Now().Add(-time.Second) }),
		"for another audience":              old.sign(t, u.ID, func(c *token.Claims) { c.Audience = "wiki" }),
		"for too long":                      old.sign(t, u.ID, func(c *token.Claims) { c.Expires = time.Now().Add(48 * time.Hour) }),
		"from tomorrow":                     old.sign(t, u.ID, func(c *token.Claims) { c.IssuedAt = time.Now().Add(time.Hour) }),
		"by a stranger's key":               stranger.sign(t, u.ID),
		"of an issuer that is not accepted": old.sign(t, u.ID, func(c *token.Claims) { c.Issuer = "nobody" }),
		"by one accepted issuer in the name of another": old.sign(t, u.ID, func(c *token.Claims) { c.Issuer = "other" }),
		"by an accepted issuer in our name":             old.sign(t, u.ID, func(c *token.Claims) { c.Issuer = "https://auth.example.test" }),
		"of nobody here":                                old.sign(t, "nobody"),
		"that is no access token":                       typed,
		"without a signature":                           parts[0] + "." + parts[1] + ".",
		"ours under their key id":                       parts[0] + "." + strings.Join(strings.Split(own, ".")[1:], "."),
	} {
		if c, err := s.Verify(t.Context(), bearer); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// Whoever is cut off here has left their old tokens behind, at once.
func TestCutOffsReachTokensOfAnAcceptedIssuer(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*testing.T, *authcore.Service, *pgtest.Database, authcore.User){
		"banned": func(t *testing.T, s *authcore.Service, _ *pgtest.Database, u authcore.User) {
			if _, err := s.SetDisabled(t.Context(), operator, u.ID, true); err != nil {
				t.Fatal(err)
			}
		},
		"banned and let in again": func(t *testing.T, s *authcore.Service, _ *pgtest.Database, u authcore.User) {
			for _, disabled := range []bool{true, false} {
				if _, err := s.SetDisabled(t.Context(), operator, u.ID, disabled); err != nil {
					t.Fatal(err)
				}
			}
		},
		"deleted": func(t *testing.T, s *authcore.Service, _ *pgtest.Database, u authcore.User) {
			if err := s.DeleteUser(t.Context(), operator, u.ID); err != nil {
				t.Fatal(err)
			}
		},
		"of another role": func(t *testing.T, s *authcore.Service, _ *pgtest.Database, u authcore.User) {
			if _, err := s.SetRole(t.Context(), operator, u.ID, principal.RoleAdmin); err != nil {
				t.Fatal(err)
			}
		},
		"signed out here": func(t *testing.T, s *authcore.Service, _ *pgtest.Database, _ authcore.User) {
			if err := s.SignOut(t.Context(), laptop, authcore.SignOut{SessionID: "old-session"}); err != nil {
				t.Fatal(err)
			}
		},
		"its key revoked": func(t *testing.T, s *authcore.Service, _ *pgtest.Database, _ authcore.User) {
			keys, err := s.Keys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.RevokeKey(t.Context(), operator, keys[0].ID); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			old := newOldService(t, "manacore")
			s := edge(t, db, old.accepted)
			u := register(t, s, "ada@example.test")
			change(t, db, `INSERT INTO auth.sessions (id, token, user_id, expires_at) VALUES ('old-session', 'x', $1, now() + interval '1 day')`, u.ID)
			if name == "its key revoked" { // it was imported
				old.key.CreatedAt = time.Now().Add(-time.Hour)
				change(t, db, `INSERT INTO auth.jwks (id, public_key, private_key, created_at) SELECT $1, public_key, private_key, now() - interval '1 hour' FROM auth.jwks`, old.key.ID)
			}
			bearer := old.sign(t, u.ID)
			if _, err := s.Verify(t.Context(), bearer); err != nil {
				t.Fatal(err)
			}
			cut(t, s, db, u)
			for which, s := range map[string]*authcore.Service{"the same": s, "a new": edge(t, db, old.accepted)} {
				if c, err := s.Verify(t.Context(), bearer); !errors.Is(err, token.ErrInvalid) {
					t.Errorf("%s edge: %+v, %v", which, c, err)
				}
			}
		})
	}
}

// An issuer that is away harms nobody but who comes with a key it has not shown yet.
func TestAcceptedIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	old := newOldService(t, "manacore")
	s := edge(t, db, old.accepted)
	u := register(t, s, "ada@example.test")
	first := old.sign(t, u.ID)
	if _, err := s.Verify(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	old.away.Store(true)
	if _, err := s.Verify(t.Context(), old.sign(t, u.ID, func(c *token.Claims) { c.ID = "another" })); err != nil {
		t.Errorf("a key that is known: %v", err)
	}
	known := old.key
	var err error
	if old.key, err = token.NewKey(token.EdDSA, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	next := old.sign(t, u.ID)
	for range 20 {
		if _, err := s.Verify(t.Context(), next); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("a key that is not known: %v", err)
		}
	}
	if n := old.asked.Load(); n > 4 {
		t.Errorf("the issuer was asked %d times", n)
	}
	callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	if _, err := s.Verify(t.Context(), first); err != nil {
		t.Errorf("by the key %s: %v", known.ID, err)
	}
}
