package command_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// Gifts for an address wait until an operator, or its owner, has proven it.
func TestVerifyHandsOutWhatWaited(t *testing.T) {
	edgetest.StopAtEnd(t)
	for name, tt := range map[string]struct {
		gifts  map[string]any
		before float64
	}{
		"by default":        {nil, 0},
		"redeem_unverified": {map[string]any{"redeem_unverified": true}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			db := pgtest.New(t)
			app := edgetest.ExternalApp(db)
			if tt.gifts != nil {
				app = edgetest.With(app, "gifts", tt.gifts)
			}
			file := edgetest.ConfigFile(t, app)
			run := func(args ...string) string {
				t.Helper()
				out, err := edgetest.Operate(t, "", append(args, "--json", "--config", file)...)
				if err != nil {
					t.Fatalf("%v: %v", args, err)
				}
				return out
			}
			run("user", "create", "--email", "ada@example.com")
			run("credits", "grant", "--user", "ada@example.com", "--amount", "10")
			run("gift", "create", "--user", "ada@example.com", "--credits", "7", "--for", "Bob@Bücher.example")
			if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), app)); err != nil {
				t.Fatal(err)
			}
			bob, err := edgetest.LiveRuntime(t).Auth.Register(t.Context(), principal.Client{}, authcore.Registration{Email: "bob@bücher.example", Password: edgetest.SignUpPassword})
			if err != nil {
				t.Fatal(err)
			}
			balance := func() float64 {
				b, err := edgetest.LiveRuntime(t).Credits.BalanceOf(t.Context(), bob.ID)
				if err != nil {
					t.Fatal(err)
				}
				return float64(b.Available) / 1000
			}
			if got := balance(); got != tt.before {
				t.Errorf("%v credits at registration", got)
			}
			view := edgetest.Decode[accountJSON](t, run("user", "verify", "BOB@xn--bcher-kva.example"))
			if !view.EmailVerified || view.ID != bob.ID {
				t.Errorf("verified %+v", view)
			}
			if got := balance(); got != 7 {
				t.Errorf("%v credits after the proof", got)
			}
		})
	}
}

// Whoever lost their second factor signs in with the password again.
func TestResetFactorCommand(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	for _, args := range [][]string{
		{"user", "create", "--email", "ada@example.com"},
		{"user", "reset-factor", "ada@example.com"},
		{"user", "reset-factor", "ada@example.com"},
		{"user", "reset-factor", "nobody@example.com"},
	} {
		_, err := edgetest.Operate(t, "", append(args, "--config", file)...)
		left, counted := dbscope.Row[struct{ N int }](t.Context(), db.Pool, dbscope.System(), `SELECT count(*) AS n FROM auth.two_factor_auth`)
		if counted != nil {
			t.Fatal(counted)
		}
		switch {
		case args[1] == "create":
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(),
				`INSERT INTO auth.two_factor_auth (user_id, secret, enabled) SELECT id, 'x', true FROM auth.users`); err != nil {
				t.Fatal(err)
			}
		case args[2] == "nobody@example.com":
			if err == nil || !strings.Contains(err.Error(), "nobody@example.com") {
				t.Errorf("an unknown account: %v", err)
			}
		case left.N != 0:
			t.Errorf("%d factors are left, %v", left.N, err)
		}
	}
	if _, err := edgetest.Operate(t, "", "user", "reset-factor", "ada@example.com", "--config", file); err == nil || !strings.Contains(err.Error(), "not enabled") {
		t.Errorf("without a factor: %v", err)
	}
}

// A name that older versions took draws nothing on an operator's terminal.
func TestCommandsPrintWhatPeopleWroteEscaped(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	if _, err := edgetest.Operate(t, "", "user", "create", "--email", "ada@example.com", "--config", file); err != nil {
		t.Fatal(err)
	}
	const evil = "Ada\x1b[2J\nID  root@example.com\u202e\u009b"
	for _, sql := range []string{
		`UPDATE auth.users SET name = $1`,
		`INSERT INTO auth.sessions (id, token, user_id, expires_at, device_name, user_agent) SELECT 's', 's', id, now() + interval '1 day', $1, $1 FROM auth.users`,
		`INSERT INTO auth.security_events (user_id, event_type, metadata) SELECT id, 'x', jsonb_build_object('a', $1::text) FROM auth.users`,
	} {
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql, evil); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"user", "list"}, {"user", "sessions", "ada@example.com"}, {"audit", "log"}, {"user", "verify", "ada@example.com"},
	} {
		for _, format := range [][]string{nil, {"--json"}} {
			out, err := edgetest.Operate(t, "", append(append(args, "--config", file), format...)...)
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			if at := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); at >= 0 {
				t.Errorf("%v %v prints %q", args, format, out[at:])
			}
			if format == nil && strings.Contains(out, "\nID  root") {
				t.Errorf("%v has a row of the user's own:\n%s", args, out)
			}
			if format != nil && !json.Valid([]byte(out)) {
				t.Errorf("%v is no JSON:\n%s", args, out)
			}
		}
	}
}

func TestUserPasswordDeleteAndOneSession(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	run := func(input string, args ...string) (string, error) {
		t.Helper()
		return edgetest.Operate(t, input, append(args, "--config", file)...)
	}
	must := func(input string, args ...string) string {
		t.Helper()
		out, err := run(input, args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	must("", "user", "create", "--email", "ada@example.com")
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `INSERT INTO auth.sessions (id, token, user_id, expires_at)
		SELECT s, s, u.id, now() + interval '1 day' FROM auth.users AS u, unnest(ARRAY['one', 'two', 'three']) AS s`); err != nil {
		t.Fatal(err)
	}
	if out := must("", "user", "sessions", "ada@example.com", "--revoke", "one"); !strings.Contains(out, "ended 1 ") {
		t.Errorf("one session: %s", out)
	}
	if out := must("", "user", "sessions", "ada@example.com"); strings.Contains(out, "one") || !strings.Contains(out, "two") {
		t.Errorf("left: %s", out)
	}
	if _, err := run("", "user", "sessions", "ada@example.com", "--revoke=one"); err == nil || !strings.Contains(err.Error(), "one: Session not found") {
		t.Errorf("ended before: %v", err)
	}
	if _, err := run("", "user", "sessions", "ada@example.com", "two"); err == nil {
		t.Error("a session without --revoke")
	}
	if out := must("", "user", "sessions", "ada@example.com", "--revoke"); !strings.Contains(out, "ended 2 ") {
		t.Errorf("all sessions: %s", out)
	}
	if _, err := run("short\n", "user", "password", "ada@example.com", "--password-stdin"); err == nil {
		t.Error("a short password is taken")
	}
	must("another long password\n", "user", "password", "ada@example.com", "--password-stdin")
	if out := must("", "audit", "log", "--user", "ada@example.com", "--since", "1h"); !strings.Contains(out, "password_changed") || !strings.Contains(out, "session_revoked") {
		t.Errorf("events: %s", out)
	}
	if out := must("", "audit", "log", "--since", "2199-01-01"); strings.Contains(out, "password_changed") {
		t.Errorf("events of the future: %s", out)
	}
	if _, err := run("", "audit", "log", "--since", "yesterday"); err == nil || !strings.Contains(err.Error(), "--since") {
		t.Errorf("since yesterday: %v", err)
	}
	must("", "user", "delete", "ada@example.com")
	if out := must("", "user", "list"); strings.Contains(out, "ada@") {
		t.Errorf("still there: %s", out)
	}
}

// Who leaves is named neither in gifts nor with payments any more.
func TestDeletionErasesGiftsAndPayments(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	run := func(args ...string) {
		t.Helper()
		if _, err := edgetest.Operate(t, "", append(args, "--config", file)...); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	run("user", "create", "--email", "mark@example.com", "--name", "MARK")
	run("user", "create", "--email", "bob@example.com")
	run("credits", "grant", "--user", "mark@example.com", "--amount", "10")
	run("credits", "grant", "--user", "bob@example.com", "--amount", "10")
	run("gift", "create", "--user", "mark@example.com", "--credits", "2", "--message", "Yours, MARK")
	for _, sql := range []string{
		`INSERT INTO credits.stripe_customers (user_id, stripe_customer_id, email) SELECT id, 'cus_1', email FROM auth.users WHERE email LIKE 'mark@%'`,
		`UPDATE auth.users SET email_verified = false WHERE email LIKE 'mark@%'`,
	} {
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatal(err)
		}
	}
	run("gift", "create", "--user", "bob@example.com", "--credits", "2", "--for", "mark@example.com")
	run("user", "delete", "mark@example.com")
	for _, table := range []string{"auth.users", "auth.security_events", "gifts.gift_codes", "credits.stripe_customers", "credits.transactions"} {
		rows, err := dbscope.Rows[struct{ Row string }](t.Context(), db.Pool, dbscope.System(), `SELECT lower(x::text) AS row FROM `+table+` AS x`)
		if err != nil || len(rows) == 0 {
			t.Fatalf("%s: %d rows, %v", table, len(rows), err)
		}
		for _, r := range rows {
			if strings.Contains(r.Row, "mark") {
				t.Errorf("left in %s: %s", table, r.Row)
			}
		}
	}
	// Nobody may have the gift that waited for the address, its next owner neither.
	run("user", "create", "--email", "mark@example.com")
	type state struct{ Active int }
	n, err := dbscope.Row[state](t.Context(), db.Pool, dbscope.System(), `SELECT count(*) AS active FROM gifts.gift_codes WHERE status = 'active' AND target_email IS NOT NULL`)
	if err != nil || n.Active != 1 {
		t.Errorf("%d gifts wait, %v", n.Active, err)
	}
}
