package passkey_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/passkey"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/passkeytest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	p := s.registered(t, u, &passkeytest.Authenticator{Origin: origin})
	if p.Name != "Passkey" {
		t.Errorf("name %q", p.Name)
	}
	rename := func(who passkey.User, name string) (passkey.Passkey, error) {
		return in(t.Context(), s.db.Pool, func(tx pgx.Tx) (passkey.Passkey, error) {
			return passkey.RenameTx(t.Context(), tx, who.ID, p.ID, name)
		})
	}
	for name, want := range map[string]string{
		" My phone ": "My phone", "  ": "Passkey", strings.Repeat("ü", 100): strings.Repeat("ü", 100),
	} {
		if got, err := rename(u, name); err != nil || got.Name != want || got.ID != p.ID {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	c := s.registration(t, u)
	response := create(t, &passkeytest.Authenticator{Origin: origin}, c.options)
	for _, name := range []string{strings.Repeat("ü", 101), "a\x1b[2J", "\u202egnp", "\x00", "\xff"} {
		_, err := rename(u, name)
		_, atFirst := s.register(t.Context(), s.db.Pool, u, c.state, response, name)
		for _, err := range []error{err, atFirst} {
			if !errors.Is(err, passkey.ErrInvalidInput) || !strings.Contains(err.Error(), "name") {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	if _, err := rename(s.user(t), "Mine"); !errors.Is(err, passkey.ErrNotFound) {
		t.Errorf("of another user: %v", err)
	}
	if list := s.list(t, u); len(list) != 1 || list[0].Name == "Mine" {
		t.Errorf("%+v", list)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	a := &passkeytest.Authenticator{Origin: origin}
	p := s.registered(t, u, a)
	remove := func(who passkey.User) (passkey.Passkey, error) {
		return in(t.Context(), s.db.Pool, func(tx pgx.Tx) (passkey.Passkey, error) {
			return passkey.DeleteTx(t.Context(), tx, who.ID, p.ID)
		})
	}
	count := func() int {
		n, err := in(t.Context(), s.db.Pool, func(tx pgx.Tx) (int, error) { return passkey.CountTx(t.Context(), tx, u.ID) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if _, err := remove(s.user(t)); !errors.Is(err, passkey.ErrNotFound) || count() != 1 {
		t.Errorf("of another user: %v, %d left", err, count())
	}
	if got, err := remove(u); err != nil || got.ID != p.ID || count() != 0 {
		t.Errorf("%+v, %v, %d left", got, err, count())
	}
	if _, err := remove(u); !errors.Is(err, passkey.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if got, err := s.use(t, a); !errors.Is(err, passkey.ErrFailed) {
		t.Errorf("a deleted passkey signs in: %+v, %v", got, err)
	}
}

// Users read their own passkeys in their own scope.
func TestListInTheScopeOfAUser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u, other := s.user(t), s.user(t)
	first := s.registered(t, u, &passkeytest.Authenticator{Origin: origin})
	second := s.registered(t, u, &passkeytest.Authenticator{Origin: origin})
	for who, want := range map[string][]string{u.ID: {first.ID, second.ID}, other.ID: nil} {
		err := dbscope.InTx(t.Context(), s.db.Pool, dbscope.User(who, "user"), func(tx pgx.Tx) error {
			list, err := passkey.List(t.Context(), tx, u.ID)
			if err != nil {
				return err
			}
			if n, err := passkey.CountTx(t.Context(), tx, u.ID); err != nil || n != len(want) {
				t.Errorf("counts %d, %v", n, err)
			}
			if len(list) != len(want) {
				t.Fatalf("lists %+v", list)
			}
			for i, p := range list {
				if p.ID != want[i] {
					t.Errorf("%d is %+v", i, p)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	a := &passkeytest.Authenticator{Origin: origin}
	s.registered(t, u, a)
	if _, err := s.use(t, a); err != nil {
		t.Fatal(err)
	}
	c := s.signIn(t, "", false)
	response := get(t, a, c.options)
	if _, err := s.verify(t.Context(), s.db.Pool, c.state, response); err != nil {
		t.Fatal(err)
	}
	// The first two have ended, one of them longer ago than clocks may differ.
	if _, err := dbscope.Exec(t.Context(), s.db.Pool, dbscope.System(),
		`UPDATE auth.passkey_challenges AS c
		 SET expires_at = now() - make_interval(secs => $1) * (2 - o.n) * 2
		 FROM (SELECT digest, row_number() OVER (ORDER BY expires_at, digest) AS n FROM auth.passkey_challenges) AS o
		 WHERE o.digest = c.digest AND o.n <= 2`, passkey.ChallengesKept.Seconds()); err != nil {
		t.Fatal(err)
	}
	db := dbscope.DB{Pool: s.db.Pool, Error: func(err error) error { return err }}
	if n, err := passkey.Prune(t.Context(), db); err != nil || n != 1 || s.challenges(t) != 2 {
		t.Errorf("pruned %d, %v, %d left", n, err, s.challenges(t))
	}
}
