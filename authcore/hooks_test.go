package authcore_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/pgtest"
)

// hooked is an edge whose hooks do as told.
func hooked(t testing.TB, db *pgtest.Database, hooks authcore.Hooks) *authcore.Service {
	t.Helper()
	secrets, err := secret.New(testKey, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := authcore.New(t.Context(), authcore.Config{
		BaseURL: "https://auth.example.test", Secrets: secrets,
		Hashing: password.Hashing{MemoryKiB: 64, Time: 1, Parallelism: 1},
	}, authcore.Deps{Pool: db.Pool, ListenDSN: db.DSN, Hooks: hooks})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestHooksFollowTheAccount(t *testing.T) {
	t.Parallel()
	var calls []string
	s := hooked(t, pgtest.New(t), authcore.Hooks{
		RegisterTx: func(ctx context.Context, tx pgx.Tx, u authcore.User, _ principal.Client) error {
			var role, email string
			err := tx.QueryRow(ctx, `SELECT current_user, email FROM auth.users WHERE id = $1`, u.ID).Scan(&role, &email)
			calls = append(calls, "tx "+role+" "+email)
			return err
		},
		Registered: func(ctx context.Context, u authcore.User) { calls = append(calls, "registered "+u.Email) },
		Deleted: func(ctx context.Context, userID string) {
			if ctx.Err() == nil {
				calls = append(calls, "deleted "+userID)
			}
		},
	})
	u := register(t, s, "ada@example.test")
	caller := callerOf(t, s, signIn(t, s, laptop, u.Email).AccessToken)
	if err := s.DeleteAccount(t.Context(), caller, "wrong password", ""); !errors.Is(err, authcore.ErrWrongPassword) {
		t.Fatal(err)
	}
	if err := s.DeleteAccount(t.Context(), caller, testPassword, ""); err != nil {
		t.Fatal(err)
	}
	want := []string{"tx mana_system ada@example.test", "registered ada@example.test", "deleted " + u.ID}
	if !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
}

func TestRegisterTxUndoesTheAccount(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	full := errors.New("no room for another account")
	s := hooked(t, db, authcore.Hooks{
		RegisterTx: func(context.Context, pgx.Tx, authcore.User, principal.Client) error { return full },
		Registered: func(context.Context, authcore.User) { t.Error("registered, yet there is no account") },
	})
	_, err := s.Register(t.Context(), laptop, authcore.Registration{Email: "ada@example.test", Password: testPassword})
	if !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	register(t, edge(t, db), "ada@example.test") // the address is free
}
