package command_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// An invitation waits, sealed, for a running edge; no command shows its link.
func TestInviteCommand(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	app := edgetest.With(edgetest.ExternalApp(db), "registration", "invite")
	file := edgetest.ConfigFile(t, app)
	out, err := edgetest.Operate(t, "", "user", "invite", "Ada@Example.com", "--role", "admin", "--valid", "2d", "--language", "de", "--json", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Email, Role string
		ExpiresAt   time.Time
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(made.ExpiresAt); made.Email != "ada@example.com" || made.Role != "admin" || left < 47*time.Hour || left > 48*time.Hour || strings.Contains(out, "http") {
		t.Errorf("%s", out)
	}
	waiting, err := dbscope.Row[struct{ N int }](t.Context(), db.Pool, dbscope.System(),
		`SELECT count(*) AS n FROM mana.outbox WHERE kind = 'account_invitation' AND user_id IS NULL AND position('register' IN encode(body, 'escape')) = 0`)
	if err != nil || waiting.N != 1 {
		t.Errorf("%d mails wait, %v", waiting.N, err)
	}
	for name, args := range map[string][]string{
		"no address": {"ada"}, "role": {"b@example.com", "--role", "owner"}, "too long": {"b@example.com", "--valid", "365d"},
		"no duration": {"b@example.com", "--valid", "soon"}, "language": {"b@example.com", "--language", "tlh"},
	} {
		if _, err := edgetest.Operate(t, "", append([]string{"user", "invite", "--config", file}, args...)...); err == nil {
			t.Errorf("%s: is taken", name)
		}
	}
	if _, err := edgetest.Operate(t, "", "user", "invite", "b@example.com", "--database", db.DSN); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("without the address of the pages: %v", err)
	}
	closed := edgetest.ConfigFile(t, edgetest.With(app, "registration", "closed"))
	if _, err := edgetest.Operate(t, "", "user", "invite", "b@example.com", "--config", closed); err == nil || !strings.Contains(err.Error(), "registration invite") {
		t.Errorf("while registration is closed: %v", err)
	}
}
