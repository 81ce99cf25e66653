package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// An edge is killed while it tells an endpoint what happens, another one goes on: no event
// is lost, each has one id, and those of an account come in order.
func TestWebhooksOutlastAnEdge(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const options = "webhooks {\n networks 127.0.0.0/8\n}\nproof_of_work off\nemail_verification optional"
	first := newEdge(t)
	first.use(db.DSN)
	first.Options = options
	first.start(t)
	second := newEdge(t)
	second.use(db.DSN)
	second.BaseURL, second.Options = first.Auth(), options
	second.start(t)

	type event struct{ id, typ string }
	var mu sync.Mutex
	var key []byte
	came := map[string][]event{} // by account, as they came first
	busy := 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		busy++
		mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		busy--
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			t.Errorf("signature %q, want %q", r.Header.Get("webhook-signature"), want)
		}
		var told struct {
			Type string
			Data struct{ UserID string }
		}
		if err := json.Unmarshal(body, &told); err != nil {
			t.Error(err)
		}
		e := event{r.Header.Get("webhook-id"), told.Type}
		for _, known := range came[told.Data.UserID] {
			if known == e {
				return // once more
			}
			if known.id == e.id {
				t.Errorf("%v is %v too", e, known)
			}
		}
		came[told.Data.UserID] = append(came[told.Data.UserID], e)
	}))
	t.Cleanup(endpoint.Close)
	var made struct{ Secret string }
	decode(t, second.run(t, "mana", "webhook", "create", "--url", endpoint.URL, "--types", "user.created,user.disabled,user.enabled", "--config", second.config, "--json"), &made)
	var err error
	mu.Lock()
	key, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(made.Secret, "whsec_"))
	mu.Unlock()
	if err != nil || len(key) == 0 {
		t.Fatalf("the secret %q: %v", made.Secret, err)
	}

	const people = 8
	for i := range people {
		register(t, []*Edge{first, second}[i%2], fmt.Sprintf("hook%d@mana.how", i), fmt.Sprintf("192.0.2.%d", 10+i))
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatal(err)
		}
	}
	rounds := func(n int) {
		for range n {
			exec(`UPDATE auth.users SET disabled_at = now()`)
			exec(`UPDATE auth.users SET disabled_at = NULL`)
		}
	}
	rounds(3)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		n := busy
		mu.Unlock()
		if n > 2 {
			break // requests of both
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is told")
		}
	}
	_ = first.edge.Process.Kill()
	first.exited <- <-first.exited
	rounds(2)
	// What the dead edge was at is another one's when its lease ends.
	exec(`UPDATE mana.outbox SET due_at = now(), leased_until = NULL WHERE sent_at IS NULL AND leased_until IS NOT NULL`)
	complete := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if len(came) != people {
			return false
		}
		for _, list := range came {
			if len(list) != 11 {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(2 * patience); !complete(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			mu.Lock()
			got := fmt.Sprint(came)
			mu.Unlock()
			t.Fatalf("came %s", got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for account, list := range came {
		for i, e := range list {
			want := []string{"user.enabled", "user.disabled"}[i%2]
			if i == 0 {
				want = "user.created"
			}
			if e.typ != want {
				t.Errorf("%s: event %d is %v, want %s", account, i, e, want)
			}
		}
	}
}
