package authcore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/pgtest"
)

// However a person's program spells an address, it is one account.
func TestOneAccountForAllSpellings(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t))
	u := register(t, s, "jose\u0301@müller.example")
	if u.Email != "jos\u00e9@xn--mller-kva.example" {
		t.Errorf("stored as %q", u.Email)
	}
	for _, spelling := range []string{
		"jos\u00e9@xn--mller-kva.example", "JOS\u00c9@M\u00dcLLER.example ", "jose\u0301@mu\u0308ller.example", "\tjos\u00e9@xn--MLLER-kva.EXAMPLE",
	} {
		if tokens := signIn(t, s, laptop, spelling); tokens.User.ID != u.ID {
			t.Errorf("%q signs in %s", spelling, tokens.User.ID)
		}
		_, err := s.Register(t.Context(), laptop, authcore.Registration{Email: spelling, Password: testPassword})
		if !errors.Is(err, authcore.ErrEmailTaken) {
			t.Errorf("%q registers beside it: %v", spelling, err)
		}
		if found, err := s.UserByIDOrEmail(t.Context(), principal.Operator{}, spelling); err != nil || found.ID != u.ID {
			t.Errorf("%q finds %v, %v", spelling, found.ID, err)
		}
	}
	for _, lookalike := range []string{"jos\u0435@example.com", "ｊose@example.com", "jo\u200bse@example.com"} {
		_, err := s.Register(t.Context(), laptop, authcore.Registration{Email: lookalike, Password: testPassword})
		var reason address.Reason
		if !errors.Is(err, authcore.ErrInvalidInput) || !errors.As(err, &reason) || !strings.HasPrefix(reason.Error(), "email must not ") {
			t.Errorf("%q: %v", lookalike, err)
		}
	}
}

func canonicalize(t *testing.T, db *pgtest.Database) (int, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	return authcore.CanonicalizeAddresses(t.Context(), conn)
}

const oldUsers = `
	INSERT INTO auth.users (id, name, email)
	VALUES ('plain', '', 'ada@example.com'), ('umlaut', '', 'ada@müller.example'), ('decomposed', '', E'jose\u0301@example.com'),
		('mixed', '', 'иван.petrov@example.com'), ('fine', '', E'andr\u00e9@example.com')`

func TestCanonicalizeAddresses(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	change(t, db, oldUsers)
	change(t, db, `INSERT INTO auth.organizations (id, name) VALUES ('o', 'O')`)
	change(t, db, `INSERT INTO auth.invitations (id, organization_id, email, role, expires_at) VALUES ('i', 'o', 'bob@müller.example', 'member', now())`)
	change(t, db, `INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id, email) VALUES ('l', '@a:b', 'plain', 'ada@müller.example')`)
	for range 2 {
		if _, err := canonicalize(t, db); err != nil {
			t.Fatal(err)
		}
	}
	want := "andr\u00e9@example.com ada@example.com jos\u00e9@example.com ada@xn--mller-kva.example иван.petrov@example.com bob@xn--mller-kva.example ada@xn--mller-kva.example"
	got := names(t, db, `SELECT email AS name FROM auth.users UNION ALL SELECT email FROM auth.invitations UNION ALL SELECT email FROM auth.matrix_user_links`)
	for _, email := range strings.Fields(want) {
		if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+email+" ") {
			t.Errorf("%q is not among %q", email, got)
		}
	}
	// It is done once: what comes later is canonical from the start.
	change(t, db, `INSERT INTO auth.users (id, name, email) VALUES ('late', '', 'late@müller.example')`)
	if _, err := canonicalize(t, db); err != nil {
		t.Fatal(err)
	}
	if got := names(t, db, `SELECT email AS name FROM auth.users WHERE id = 'late'`); got[0] != "late@müller.example" {
		t.Errorf("%q", got)
	}
}

// Accounts never become one: both are named, and nothing is changed until a
// person has decided.
func TestCanonicalizeStopsWhereTwoAccountsWouldBecomeOne(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]string{
		"beside the canonical one": "ada@xn--mller-kva.example",
		"beside another spelling":  "ada@mu\u0308ller.example",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			change(t, db, oldUsers)
			change(t, db, `INSERT INTO auth.users (id, name, email) VALUES ('second', '', $1)`, second)
			_, err := canonicalize(t, db)
			var conflict *authcore.AddressConflictError
			if !errors.As(err, &conflict) || len(conflict.Conflicts) != 1 {
				t.Fatalf("got %v", err)
			}
			for _, part := range []string{"would become one", `"ada@müller.example"`, second, "umlaut", "second", "mana user delete"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not stand in: %v", part, err)
				}
			}
			if got := names(t, db, `SELECT email AS name FROM auth.users WHERE id = 'decomposed'`); got[0] != "jose\u0301@example.com" {
				t.Errorf("something was changed: %q", got)
			}
			change(t, db, `DELETE FROM auth.users WHERE id = 'second'`)
			if _, err := canonicalize(t, db); err != nil {
				t.Errorf("after a decision: %v", err)
			}
		})
	}
}
