package command_test

import (
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestWebhookCommands(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	type view struct {
		ID, URL, Secret, Description string
		Types                        []string
		DisabledAt                   *time.Time
		Events                       int
		Deleted, Enabled             bool
	}
	run := func(args ...string) (string, error) {
		return edgetest.Operate(t, "", append(append([]string{"webhook"}, args...), "--json", "--config", file)...)
	}
	one := func(args ...string) view {
		t.Helper()
		output, err := run(args...)
		if err != nil {
			t.Fatalf("%v: %s, %v", args, output, err)
		}
		return edgetest.Decode[view](t, output)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatal(err)
		}
	}
	made := one("create", "--url", "https://crm.example.com/hooks", "--types", "user.created,user.deleted", "--description", "CRM")
	if !strings.HasPrefix(made.Secret, "whsec_") || !strings.HasPrefix(made.ID, "ep_") || len(made.Types) != 2 || made.Description != "CRM" {
		t.Fatalf("made %+v", made)
	}
	output, err := run("list")
	if all := edgetest.Decode[[]view](t, output); err != nil || len(all) != 1 || all[0].URL != made.URL || strings.Contains(output, "whsec_") {
		t.Errorf("%s, %v", output, err)
	}
	if rotated := one("rotate", made.ID); !strings.HasPrefix(rotated.Secret, "whsec_") || rotated.Secret == made.Secret {
		t.Errorf("rotated %+v", rotated)
	}
	exec(`INSERT INTO mana.webhook_events (id, type, subject, data, relayed_at) VALUES ('evt_1', 'user.created', 'ada', '{}', now()), ('evt_2', 'user.verified', 'ada', '{}', now())`)
	if replayed := one("replay", made.ID, "--since", "1h"); replayed.Events != 1 { // it is not told of the other
		t.Errorf("replayed %+v", replayed)
	}
	exec(`UPDATE mana.outbox SET sent_at = now(), body = ''`)
	if replayed := one("replay", made.ID, "--event", "evt_1"); replayed.Events != 1 {
		t.Errorf("replayed %+v", replayed)
	}
	exec(`UPDATE mana.webhook_endpoints SET disabled_at = now(), disabled_reason = 'it failed'`)
	for want, args := range map[string][]string{
		"the endpoint is disabled": {"replay", made.ID}, "no such endpoint": {"rotate", "ep_nobody"}, "invalid endpoint": {"create", "--url", "http://crm.example.com/"},
		`no event "user.born"`: {"create", "--url", "https://crm.example.com/", "--types", "user.born"},
	} {
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if enabled := one("enable", made.ID); !enabled.Enabled {
		t.Errorf("enabled %+v", enabled)
	}
	if _, err := run("replay", made.ID, "--event", "evt_2"); err == nil || !strings.Contains(err.Error(), "no such delivery") {
		t.Errorf("an event that it was never told: %v", err)
	}
	if deleted := one("delete", made.ID); !deleted.Deleted {
		t.Errorf("deleted %+v", deleted)
	}
	events, err := dbscope.Rows[struct{ EventType string }](t.Context(), db.Pool, dbscope.System(), `SELECT event_type FROM auth.security_events WHERE starts_with(event_type, 'webhook_')`)
	if err != nil || len(events) != 6 {
		t.Errorf("recorded %v, %v", events, err)
	}
}
