package command_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestKeyCommands(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	if _, err := edgetest.Operate(t, "", "user", "create", "--email", "ada@example.com", "--config", file); err != nil {
		t.Fatal(err)
	}
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(),
		`INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash) SELECT 'k1', id, 'Speech', 'sk_live_01234567...', 'hash' FROM auth.users`); err != nil {
		t.Fatal(err)
	}
	type view struct {
		ID, Name, KeyPrefix string
		Scopes              []string
		RevokedAt           *string
	}
	list := func() view {
		t.Helper()
		output, err := edgetest.Operate(t, "", "key", "list", "ada@example.com", "--json", "--config", file)
		all := edgetest.Decode[[]view](t, output)
		if err != nil || len(all) != 1 || strings.Contains(output, "hash") {
			t.Fatalf("%s, %v", output, err)
		}
		return all[0]
	}
	if got := list(); cmp.Diff(view{"k1", "Speech", "sk_live_01234567...", []string{"stt", "tts"}, nil}, got) != "" {
		t.Errorf("listed %+v", got)
	}
	if _, err := edgetest.Operate(t, "", "key", "revoke", "k1", "--config", file); err != nil {
		t.Fatal(err)
	}
	if got := list(); got.RevokedAt == nil {
		t.Errorf("revoked: %+v", got)
	}
	if _, err := edgetest.Operate(t, "", "key", "revoke", "k1", "--config", file); err == nil || !strings.Contains(err.Error(), "API key not found") {
		t.Errorf("revoked twice: %v", err)
	}
	revocations, err := dbscope.Rows[struct{ SessionID string }](t.Context(), db.Pool, dbscope.System(), `SELECT session_id FROM auth.revocations`)
	if err != nil || len(revocations) != 1 || revocations[0].SessionID != "key:k1" {
		t.Errorf("the edges are told %v, %v", revocations, err)
	}
}

func TestServiceKeyListShowsNoKey(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	app := edgetest.ExternalApp(db)
	app["service_key"] = "the-secret-of-all"
	app["service_keys"] = []map[string]any{{"name": "chat", "key": "the-secret-of-chat", "scopes": []string{"credits:charge", "credits:refund"}}}
	file := edgetest.ConfigFile(t, app)
	output, err := edgetest.Operate(t, "", "service-key", "list", "--json", "--config", file)
	type view struct {
		Name   *string
		Scopes []string
	}
	chat := "chat"
	want := []view{{nil, []string{}}, {&chat, []string{"credits:charge", "credits:refund"}}}
	if diff := cmp.Diff(want, edgetest.Decode[[]view](t, output)); diff != "" || err != nil || strings.Contains(output, "secret") {
		t.Errorf("%s\n%v\n%s", diff, err, output)
	}
}

// A new secret is made for a key that is there, with what to write where.
func TestServiceKeyRotate(t *testing.T) {
	t.Parallel()
	app := edgetest.ExternalApp(pgtest.New(t))
	app["service_key"] = "the-key-that-may-do-everything-of-32-bytes"
	app["service_keys"] = []any{map[string]any{"name": "chat", "key": "the-old-key-of-chat-which-is-long", "scopes": []any{"credits:charge", "credits:refund"}}}
	file := edgetest.ConfigFile(t, app)
	type view struct {
		Name                   *string
		Secret, Line, Variable string
	}
	rotate := func(args ...string) view {
		t.Helper()
		out, err := edgetest.Operate(t, "", append([]string{"service-key", "rotate", "--json", "--config", file}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return edgetest.Decode[view](t, out)
	}
	chat, again, all := rotate("chat"), rotate("chat"), rotate()
	if *chat.Name != "chat" || len(chat.Secret) != 64 || chat.Secret == again.Secret || chat.Variable != "CHAT_SERVICE_KEY" ||
		chat.Line != "service_key chat {env.CHAT_SERVICE_KEY} credits:charge credits:refund" {
		t.Errorf("chat: %+v", chat)
	}
	if all.Name != nil || all.Line != "service_key {env.MANA_CORE_SERVICE_KEY}" {
		t.Errorf("the one without a name: %+v", all)
	}
	text, err := edgetest.Operate(t, "", "service-key", "rotate", "chat", "--config", file)
	if err != nil || !strings.Contains(text, "CHAT_SERVICE_KEY=") || strings.Contains(text, "the-old-key") {
		t.Errorf("for people: %s, %v", text, err)
	}
	if _, err := edgetest.Operate(t, "", "service-key", "rotate", "nobody", "--config", file); err == nil || !strings.Contains(err.Error(), "no service key named") {
		t.Errorf("one that is not there: %v", err)
	}
}

// With --json every command tells its error in one form, with a code.
func TestErrorsAsJSON(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	for _, tt := range []struct {
		code string
		args []string
	}{
		{"USER_NOT_FOUND", []string{"user", "role", "nobody@example.com", "admin"}},
		{"USER_NOT_FOUND", []string{"audit", "log", "--user", "nobody"}},
		{"ORGANIZATION_NOT_FOUND", []string{"org", "members", "nothing"}},
		{"API_KEY_NOT_FOUND", []string{"key", "revoke", "nothing"}},
		{"SERVICE_KEY_NOT_FOUND", []string{"service-key", "rotate", "nothing"}},
		{"USAGE", []string{"user", "role"}},
		{"USAGE", []string{"user", "list", "--no-such-flag"}},
		{"FAILED", []string{"audit", "log", "--since", "yesterday"}},
	} {
		out, told, err := edgetest.OperateAll(t, append([]string{"--json", "--config", file}, tt.args...)...)
		if err == nil || out != "" {
			t.Fatalf("%v: %q, %v", tt.args, out, err)
		}
		lines := strings.Split(strings.TrimSpace(told), "\n")
		got := edgetest.Decode[struct {
			Error struct{ Code, Message string }
		}](t, lines[len(lines)-1])
		if got.Error.Code != tt.code || got.Error.Message != err.Error() {
			t.Errorf("%v: %s", tt.args, told)
		}
		if _, plain, _ := edgetest.OperateAll(t, append([]string{"--config", file}, tt.args...)...); strings.Contains(plain, `{"error"`) || !strings.Contains(plain, "Error: ") {
			t.Errorf("%v without --json: %s", tt.args, plain)
		}
	}
}
