package api_test

import (
	"regexp"
	"strings"
	"testing"

	"mana.how/edge/internal/dbscope"
)

// An admin makes an endpoint, sees its secret once, gives it another, and has it told
// again what it missed; each change is on record.
func TestDeskWebhooks(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	secret := regexp.MustCompile(`whsec_[A-Za-z0-9+/&#;]+=*`)
	english := with("Accept-Language", "en")
	change := func(path string, fields ...string) answer {
		t.Helper()
		return o.post(path, o.boss, append([]string{"reason", "asked by letter"}, fields...)...)
	}
	done := func(path, word string, fields ...string) {
		t.Helper()
		to := change(path, fields...).status(303).header.Get("Location")
		if !strings.Contains(to, "done="+word) {
			t.Errorf("%v leads to %s, want %s", fields, to, word)
		}
	}
	made := change("/admin/webhooks", "action", "createWebhook", "url", " https://new.example.test/in ", "types", "user.created,user.deleted\r\nsession.revoked", "description", "the new one").status(200)
	first := secret.FindString(made.body)
	id := regexp.MustCompile(`ep_[A-Za-z0-9]{32}`).FindString(made.body)
	if first == "" || id == "" || !strings.Contains(made.body, "user.created user.deleted session.revoked") || !strings.Contains(made.header.Get("Cache-Control"), "no-store") {
		t.Fatalf("%v %s", made.header, made.body)
	}
	path := "/admin/webhooks/" + id
	for _, page := range []string{path, "/admin/webhooks"} {
		if got := o.send("GET", page, nil, o.boss, english).status(200); secret.MatchString(got.body) || !strings.Contains(got.body, "https://new.example.test/in") {
			t.Errorf("%s: %s", page, got.body)
		}
	}
	if second := secret.FindString(change(path, "action", "rotateWebhook").status(200).body); second == "" || second == first {
		t.Errorf("the secret is %q after %q", second, first)
	}
	done(path, "desk-webhook-replayed", "action", "testWebhook")
	if got := o.send("GET", path, nil, o.boss, english).status(200); !strings.Contains(got.body, "webhook.test") || !strings.Contains(got.body, "waiting") {
		t.Errorf("after a test: %s", got.body)
	}
	old := "/admin/webhooks/" + o.webhook
	done(old, "desk-webhook-replayed", "action", "replay", "item", "evt_1")
	change(old, "action", "replay", "item", "evt_1").status(404) // waits already
	change(old, "action", "replay").status(404)
	done(old, "desk-webhook-disabled", "action", "disableWebhook")
	change(old, "action", "disableWebhook").status(404)
	change(old, "action", "replayMissed").status(409)
	done(old, "desk-webhook-enabled", "action", "enableWebhook")
	done(old, "desk-webhook-replayed", "action", "replayMissed")
	done(old, "desk-webhook-deleted", "action", "deleteWebhook")
	o.send("GET", old, nil, o.boss).status(404)
	change(old, "action", "testWebhook").status(404)
	for _, faulty := range [][]string{{"url", "http://new.example.test/"}, {"url", ""}, {"url", "https://new.example.test/", "types", "user.born"}} {
		if got := change("/admin/webhooks", append([]string{"action", "createWebhook"}, faulty...)...).status(400); secret.MatchString(got.body) {
			t.Errorf("%v: %s", faulty, got.body)
		}
	}
	events, err := dbscope.Rows[struct{ Text string }](t.Context(), o.db.Pool, dbscope.System(),
		`SELECT event_type AS text FROM auth.security_events WHERE starts_with(event_type, 'webhook_') ORDER BY created_at, id`)
	var types []string
	for _, e := range events {
		types = append(types, strings.TrimPrefix(e.Text, "webhook_"))
	}
	if want := "created secret_rotated tested replayed disabled enabled replayed deleted"; err != nil || strings.Join(types, " ") != want {
		t.Errorf("on record are %v, %v, want %s", types, err, want)
	}
	if strings.Contains(o.everything(), first) {
		t.Error("the secret is kept")
	}
}
