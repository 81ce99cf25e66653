package authcore_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// marked is what tells who Ada is, all of it with the word MARK in it.
var marked = principal.Client{IP: netip.MustParseAddr("2001:db8::dead:beef"), UserAgent: "MARK/1.0", DeviceID: "MARK-device", DeviceName: "MARK phone"}

// personalRows puts a mark into every table of the schema auth that can hold
// what is personal.
var personalRows = []string{
	`INSERT INTO auth.passwords (user_id, hashed_password) VALUES ($1, 'MARK')`,
	`INSERT INTO auth.two_factor_auth (user_id, secret) VALUES ($1, 'MARK')`,
	`INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, name, device_type, backed_up, aaguid)
		SELECT 'pk', $1, 'x', 'x', 0, 'MARK', 'singleDevice', false, gen_random_uuid()`,
	`INSERT INTO auth.user_settings (user_id, global_settings) VALUES ($1, '{"displayName": "MARK"}')`,
	`INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash) VALUES ('k', $1, 'MARK', 'p', 'h')`,
	`INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id, email) VALUES ('l', '@MARK:m', $1, 'mark@example.test')`,
	`INSERT INTO auth.verification (id, identifier, value, expires_at) SELECT 'v' || i, i, 'x', now() + interval '1 hour' FROM unnest(ARRAY['mark@example.test', 'sign-in-otp-mark@example.test']) AS i WHERE $1 <> ''`,
	`INSERT INTO auth.security_events (user_id, event_type, metadata) VALUES ($1, 'x', '{"sourceAppUrl": "https://MARK"}')`,
	`INSERT INTO auth.organizations (id, name) SELECT 'o', 'Others' WHERE $1 <> ''`,
	`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m', 'o', $1, 'member')`,
	`INSERT INTO auth.invitations (id, organization_id, email, role, expires_at) SELECT 'i', 'o', 'mark@example.test', 'member', now() WHERE $1 <> ''`,
	`UPDATE auth.sessions SET refresh_token = 'MARK' WHERE user_id = $1`,
	`UPDATE auth.users SET image = 'https://example.test/MARK.png' WHERE id = $1`,
}

// tracesOf lists the rows of all schemas that hold one of the marks.
func tracesOf(t *testing.T, db *pgtest.Database, marks ...string) (found []string) {
	t.Helper()
	tables := names(t, db, `SELECT format('%I.%I', n.nspname, c.relname) AS name
		FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('auth', 'credits', 'gifts', 'subscriptions')`)
	for _, table := range tables {
		for _, row := range names(t, db, `SELECT x::text AS name FROM `+table+` AS x`) {
			for _, mark := range marks {
				if strings.Contains(strings.ToLower(row), strings.ToLower(mark)) {
					found = append(found, fmt.Sprintf("%s in %s %s", mark, table, row))
				}
			}
		}
	}
	return found
}

func TestDeletionErasesWhoTheUserWas(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*authcore.Service, principal.Caller) error{
		"by the user": func(s *authcore.Service, c principal.Caller) error {
			return s.DeleteAccount(t.Context(), c, testPassword, "no\nneed")
		},
		"by the operator": func(s *authcore.Service, c principal.Caller) error {
			return s.DeleteUser(t.Context(), principal.Operator{Name: "cli:root"}, c.UserID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			s := edge(t, db)
			u, err := s.Register(t.Context(), marked, authcore.Registration{Email: "mark@example.test", Password: testPassword, Name: "MARK Twain", SourceAppURL: "https://MARK"})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = s.SignIn(t.Context(), marked, u.Email, wrongPassword)
			_, _ = s.SignIn(t.Context(), phone, u.Email, wrongPassword)
			caller := callerOf(t, s, signIn(t, s, marked, u.Email).AccessToken)
			caller.Client = marked
			for _, sql := range personalRows {
				change(t, db, sql, u.ID)
			}
			other := register(t, s, "bob@example.test")
			signIn(t, s, laptop, other.Email)
			marks := []string{"mark", "dead:beef", phone.IP.String()}
			if found := tracesOf(t, db, marks...); len(found) < 15 {
				t.Fatalf("only %d rows are personal: %q", len(found), found)
			}
			if err := leave(s, caller); err != nil {
				t.Fatal(err)
			}
			if found := tracesOf(t, db, marks...); len(found) > 0 {
				t.Errorf("left behind:\n%s", strings.Join(found, "\n"))
			}
			if found := tracesOf(t, db, laptop.UserAgent); len(found) == 0 {
				t.Error("another user's session was erased, too")
			}
			if got := names(t, db, `SELECT event_type AS name FROM auth.security_events WHERE user_id = $1 AND event_type = 'account_deleted'`, u.ID); len(got) != 1 {
				t.Errorf("events %q", got)
			}
		})
	}
}

func TestOperatorSetsAPassword(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	u := register(t, s, "ada@example.test")
	before := signIn(t, s, laptop, u.Email)
	op := principal.Operator{Name: "cli:root"}
	if err := s.SetPassword(t.Context(), op, u.ID, "short"); err == nil {
		t.Error("a short password is taken")
	}
	if err := s.SetPassword(t.Context(), op, u.ID, "another long password"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context(), laptop, before.RefreshToken); err == nil {
		t.Error("the old session lives on")
	}
	if _, err := s.SignIn(t.Context(), laptop, u.Email, testPassword); err == nil {
		t.Error("the old password still signs in")
	}
	if _, err := s.SignIn(t.Context(), laptop, u.Email, "another long password"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	// An account without one gets one.
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `DELETE FROM auth.accounts`); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPassword(t.Context(), op, u.ID, testPassword); err != nil {
		t.Fatal(err)
	}
	signIn(t, s, laptop, u.Email)
	if err := s.SetPassword(t.Context(), op, "nobody", testPassword); err == nil {
		t.Error("nobody has a password now")
	}
}

func TestOperatorEndsOneSession(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t))
	u := register(t, s, "ada@example.test")
	one, two := signIn(t, s, laptop, u.Email), signIn(t, s, phone, u.Email)
	op := principal.Operator{Name: "cli:root"}
	if n, err := s.RevokeUserSession(t.Context(), op, u.ID, one.SessionID); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := s.Refresh(t.Context(), laptop, one.RefreshToken); err == nil {
		t.Error("it lives on")
	}
	if _, err := s.Refresh(t.Context(), phone, two.RefreshToken); err != nil {
		t.Errorf("the other one: %v", err)
	}
	for _, id := range []string{one.SessionID, "nothing"} {
		if _, err := s.RevokeUserSession(t.Context(), op, u.ID, id); err == nil {
			t.Errorf("%s was ended", id)
		}
	}
}

// Every event of an account names it, whichever way a sign-out came.
func TestLogoutNamesItsUser(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	ada, bob := register(t, s, "ada@example.test"), register(t, s, "bob@example.test")
	byRefresh, bySession := signIn(t, s, laptop, ada.Email), signIn(t, s, phone, ada.Email)
	browser, err := s.SignInBrowser(t.Context(), laptop, ada.Email, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := s.SignInBrowser(t.Context(), laptop, bob.Email, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []authcore.SignOut{
		{RefreshToken: byRefresh.RefreshToken}, {SessionID: bySession.SessionID}, {CookieTokens: []string{browser.Token, foreign.Token}},
	} {
		if err := s.SignOut(t.Context(), laptop, out); err != nil {
			t.Fatal(err)
		}
	}
	got := names(t, db, `SELECT u.email || ' ' || count(*) || ' ' || sum((e.metadata->>'sessions')::int) AS name
		FROM auth.security_events AS e LEFT JOIN auth.users AS u ON u.id = e.user_id WHERE e.event_type = 'logout' GROUP BY u.email`)
	if strings.Join(got, ", ") != "ada@example.test 3 3, bob@example.test 1 1" {
		t.Errorf("got %q", got)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t))
	ada, bob := register(t, s, "ada@example.test"), register(t, s, "bob@example.test")
	_, _ = s.SignIn(t.Context(), phone, ada.Email, wrongPassword)
	_, _ = s.SignIn(t.Context(), phone, "nobody@example.test", wrongPassword)
	types := func(q audit.Query) string {
		list, err := s.Events(t.Context(), principal.Operator{}, q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range list {
			who := "-"
			if e.Email != nil {
				who = *e.Email
			}
			out = append(out, e.Type+" "+who)
		}
		return strings.Join(out, ", ")
	}
	for want, q := range map[string]audit.Query{
		"login_failed -, login_failed ada@example.test, registered bob@example.test, registered ada@example.test": {},
		"login_failed ada@example.test, registered ada@example.test":                                              {UserID: ada.ID},
		"registered bob@example.test": {UserID: bob.ID, Type: "registered"},
		"login_failed -":              {Limit: 1},
	} {
		if got := types(q); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
}
