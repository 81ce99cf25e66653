package services_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/eventsink"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// Security events reach the webhook of the config, signed, and again where it
// has refused them.
func TestSecurityEventsAreHandedOn(t *testing.T) {
	edgetest.StopAtEnd(t)
	const secret = "the secret of a webhook of a test, long enough"
	var mu sync.Mutex
	var got []string
	refusals := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Mana-Signature"), "t="), ",")
		at, err := json.Number(stamp).Int64()
		if err != nil || r.Header.Get("Mana-Signature") != eventsink.Signature([]byte(secret), time.Unix(at, 0), body) {
			t.Errorf("the signature is %q, %v", r.Header.Get("Mana-Signature"), err)
		}
		mu.Lock()
		defer mu.Unlock()
		if refusals++; refusals == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for line := range strings.Lines(string(body)) {
			var event struct {
				Type, UserID string
			}
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			got = append(got, event.Type)
		}
	}))
	t.Cleanup(receiver.Close)
	db, address := pgtest.New(t), freeport.Address(t)
	app := edgetest.With(edgetest.ExternalApp(db), "events", map[string]any{"to": "webhook", "url": receiver.URL, "secret": secret})
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	edgetest.LiveRuntime(t)
	edgetest.Eventually(t, "the feed begins", func() bool {
		feed, err := dbscope.Row[struct{ Begun bool }](t.Context(), db.Pool, dbscope.System(),
			`SELECT EXISTS (SELECT FROM auth.verification WHERE id = 'security-events-feed') AS begun`)
		return err == nil && feed.Begun
	})
	file := edgetest.ConfigFile(t, app)
	edgetest.MustOperate(t, "user", "create", "--email", "ada@example.com", "--config", file)
	edgetest.MustOperate(t, "user", "role", "ada@example.com", "admin", "--config", file)
	taken := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(got, " ")
	}
	for deadline := time.Now().Add(60 * time.Second); !strings.Contains(taken(), "role_changed"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: role_changed among %q", taken())
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if all := strings.Join(got, " "); strings.Count(all, "user_created") != 1 || strings.Index(all, "user_created") > strings.Index(all, "role_changed") {
		t.Errorf("handed on: %s", all)
	}
	if refusals < 2 {
		t.Error("nothing was tried again")
	}
}
