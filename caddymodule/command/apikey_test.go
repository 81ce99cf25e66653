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
