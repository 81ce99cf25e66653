package authcore_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/pgtest"
)

const wrongPassword = "wrong password"

func wantLocked(t *testing.T, err error, within time.Duration) {
	t.Helper()
	var locked *authcore.LockedError
	if !errors.As(err, &locked) || locked.RetryAfter > within || locked.RetryAfter < within-10*time.Second {
		t.Errorf("got %v (%+v), want to be locked for %v", err, locked, within)
	}
}

// Wrong tries are counted by the database: neither another edge nor a restart
// gives more of them.
func TestLockoutIsSharedAndSurvivesRestarts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	edges := []*authcore.Service{edge(t, db), edge(t, db)}
	register(t, edges[0], "ada@example.test")
	stranger := principal.Client{IP: phone.IP}
	for i := range 10 {
		if _, err := edges[i%2].SignIn(t.Context(), stranger, "ada@example.test", wrongPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
			t.Fatalf("try %d: %v", i+1, err)
		}
	}
	for _, s := range append(edges, edge(t, db)) {
		_, err := s.SignIn(t.Context(), stranger, "ada@example.test", testPassword)
		wantLocked(t, err, time.Minute)
	}
	got := names(t, db, `SELECT event_type || ' ' || count(*) AS name FROM auth.security_events GROUP BY event_type`)
	if want := "account_locked 1 login_failed 10"; !strings.HasPrefix(strings.Join(got, " "), want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// later lets time go by for the counters.
func later(t *testing.T, db *pgtest.Database, d time.Duration) {
	t.Helper()
	change(t, db, `UPDATE auth.lockouts SET since = since - $1::interval, last_try_at = last_try_at - $1::interval,
		locked_at = locked_at - $1::interval, locked_until = locked_until - $1::interval`, d)
}

func TestLocksDouble(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	stranger := principal.Client{IP: phone.IP}
	try := func(password string) error {
		_, err := s.SignIn(t.Context(), stranger, "ada@example.test", password)
		return err
	}
	for range 9 {
		_ = try(wrongPassword)
	}
	for _, minutes := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if err := try(wrongPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
			t.Fatalf("before the lock of %d minutes: %v", minutes, err)
		}
		wantLocked(t, try(testPassword), minutes*time.Minute)
		later(t, db, minutes*time.Minute)
	}
	if err := try(testPassword); err != nil {
		t.Fatalf("after the lock: %v", err)
	}
	for i := range 9 {
		if err := try(wrongPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
			t.Fatalf("try %d after a right one: %v", i+1, err)
		}
	}
	later(t, db, 15*time.Minute)
	for i := range 9 {
		if err := try(wrongPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
			t.Fatalf("try %d of the next 15 minutes: %v", i+1, err)
		}
	}
	if err := try(testPassword); err != nil {
		t.Errorf("nine tries in 15 minutes, and nine before: %v", err)
	}
}

// A right password whose verification was under way when the account got locked
// tells nothing: else the lock would only stop those who wait for an answer.
func TestLockOvertakesARightPassword(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var hashing atomic.Pointer[func()]
	s := edgeWith(t, db, func(d *authcore.Deps) {
		d.Observer.HashWait = func(time.Duration) {
			if f := hashing.Swap(nil); f != nil {
				(*f)()
			}
		}
	})
	register(t, s, "ada@example.test")
	lock := func() {
		change(t, db, `UPDATE auth.lockouts SET locked_at = now(), locked_until = now() + interval '1 minute'`)
	}
	tokens := signIn(t, s, laptop, "ada@example.test")
	caller := callerOf(t, s, tokens.AccessToken)
	for name, act := range map[string]func(context.Context, string) error{
		"sign in": func(ctx context.Context, password string) error {
			_, err := s.SignIn(ctx, phone, "ada@example.test", password)
			return err
		},
		"sign in a browser": func(ctx context.Context, password string) error {
			_, err := s.SignInBrowser(ctx, phone, "ada@example.test", password, true)
			return err
		},
		"change the password": func(ctx context.Context, password string) error {
			return s.ChangePassword(ctx, caller, password, "another long password")
		},
		"delete the account": func(ctx context.Context, password string) error {
			return s.DeleteAccount(ctx, caller, password, "")
		},
	} {
		if err := act(t.Context(), wrongPassword); err == nil {
			t.Fatalf("%s: a wrong password is right", name)
		}
		hashing.Store(&lock)
		wantLocked(t, act(t.Context(), testPassword), time.Minute)
		if hashing.Load() != nil {
			t.Errorf("%s: nothing was hashed", name)
		}
		change(t, db, `DELETE FROM auth.lockouts`)
	}
}

// Every spelling of an address counts as one, and so does one that is too long.
func TestLockoutCountsByTheAccountsAddress(t *testing.T) {
	t.Parallel()
	for name, spelling := range map[string]func(int) string{
		"domain":   func(i int) string { return []string{"ada@müller.example", " ADA@xn--mller-kva.example"}[i%2] },
		"too long": func(i int) string { return strings.Repeat("a", 254) + strings.Repeat("x", i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := edge(t, pgtest.New(t))
			for i := range 10 {
				_, _ = s.SignIn(t.Context(), phone, spelling(i), wrongPassword)
			}
			_, err := s.SignIn(t.Context(), phone, spelling(11), wrongPassword)
			wantLocked(t, err, time.Minute)
		})
	}
}
