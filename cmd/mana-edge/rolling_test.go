//go:build cluster

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/internal/pgtest"
)

// nextSQL is what the version after this one might add to the schema: columns of
// tables that are read and written all the time, and a table.
const nextSQL = `
ALTER TABLE auth.users ADD COLUMN next_note text;
ALTER TABLE auth.sessions ADD COLUMN next_note text NOT NULL DEFAULT '';
ALTER TABLE auth.security_events ADD COLUMN next_note text;
ALTER TABLE credits.balances ADD COLUMN next_note text NOT NULL DEFAULT '';
ALTER TABLE credits.transactions ADD COLUMN next_note text;
ALTER TABLE credits.lots ADD COLUMN next_note text;
ALTER TABLE credits.holds ADD COLUMN next_note text;
CREATE TABLE credits.next_notes (user_id text COLLATE "C" PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, note text NOT NULL);
`

// buildNext builds the version after this one: with one more migration, and a
// function of the ledger that takes and gives something else than today.
func buildNext(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	put := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, name)] = file
	}
	edit := func(name string, pairs ...string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		edited := string(text)
		for i := 0; i < len(pairs); i += 2 {
			if strings.Count(edited, pairs[i]) != 1 {
				t.Fatalf("%s has %q %d times", name, pairs[i], strings.Count(edited, pairs[i]))
			}
			edited = strings.Replace(edited, pairs[i], pairs[i+1], 1)
		}
		put(name, edited)
	}
	migrations, err := filepath.Glob(filepath.Join(root, "migrations", "[0-9]*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	put(fmt.Sprintf("migrations/%04d_next.sql", len(migrations)+1), nextSQL)
	edit("migrations/functions/batch.sql", "fn.batch(p_wait boolean,", "fn.batch(p_next text, p_wait boolean,")
	edit("creditcore/item.go", ".batch($1,", ".batch('next', $1,")
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	put("overlay.json", string(overlay))
	next := filepath.Join(dir, "mana-edge-next")
	args := []string{"build", "-tags", tags, "-overlay", filepath.Join(dir, "overlay.json"), "-o", next}
	if raceEnabled { // as this version is built
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		t.Fatalf("build the next version: %v\n%s", err, out)
	}
	return next
}

// balancer hands requests to the edges that are in service, in turn.
type balancer struct {
	mu    sync.RWMutex
	edges []*Edge
	next  atomic.Uint64
}

// use calls f with an edge that is in service until f has ended.
func (b *balancer) use(f func(*Edge) error) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return f(b.edges[b.next.Add(1)%uint64(len(b.edges))])
}

// set puts edges into service; when it returns nobody asks the others any more.
func (b *balancer) set(edges ...*Edge) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.edges = edges
}

// rollingClient does what apps and people do, each request at the edge whose turn it is.
type rollingClient struct {
	lb              *balancer
	client          *http.Client
	address         string
	email           string
	access, refresh string
	served          *atomic.Int64
}

func (c *rollingClient) ask(ctx context.Context, status int, method, site, path string, body any, headers ...string) (a Answer, err error) {
	err = c.lb.use(func(e *Edge) error {
		url := e.Auth() + path
		if site == "app" {
			url = e.AppURL() + path
		}
		headers = append(headers, "X-Forwarded-For", c.address)
		if c.access != "" && !strings.HasPrefix(path, "/api/v1/internal/") {
			headers = append(headers, "Authorization", "Bearer "+c.access)
		}
		a, err = try(ctx, c.client, method, url, body, headers...)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		if a.StatusCode != status {
			return fmt.Errorf("%s %s: status %d, want %d: %s", method, path, a.StatusCode, status, a.Body)
		}
		c.served.Add(1)
		return nil
	})
	return a, err
}

// round signs in, is metered, charged, refunded and reserved for, refreshes and signs out.
func (c *rollingClient) round(ctx context.Context, n int) error {
	c.access = ""
	a, err := c.ask(ctx, http.StatusOK, http.MethodPost, "auth", "/api/v1/auth/login", map[string]string{"email": c.email, "password": password})
	if err != nil {
		return err
	}
	c.access, c.refresh = a.Text("accessToken"), a.Text("refreshToken")
	charge := map[string]any{"amount": 0.25, "appId": "rolling", "description": "a charge"}
	key := []string{"X-Service-Key", serviceKey}
	user := a.JSON()["user"].(map[string]any)["id"]
	for _, step := range []struct {
		status       int
		method, site string
		path         string
		body         any
		headers      []string
	}{
		{http.StatusOK, http.MethodGet, "app", "/api/whoami", nil, nil},
		{http.StatusOK, http.MethodGet, "app", "/api/generate", nil, nil},
		{http.StatusCreated, http.MethodPost, "auth", "/api/v1/credits/use", charge, []string{"Idempotency-Key", fmt.Sprintf("%s-%d", c.email, n)}},
		{http.StatusCreated, http.MethodPost, "auth", "/api/v1/credits/use", charge, []string{"Idempotency-Key", fmt.Sprintf("%s-%d", c.email, n)}},
		{http.StatusOK, http.MethodGet, "auth", "/api/v1/credits/balance", nil, nil},
		{http.StatusOK, http.MethodGet, "auth", "/api/v1/credits/transactions?limit=5", nil, nil},
	} {
		if _, err := c.ask(ctx, step.status, step.method, step.site, step.path, step.body, step.headers...); err != nil {
			return err
		}
	}
	held, err := c.ask(ctx, http.StatusOK, http.MethodPost, "auth", "/api/v1/internal/credits/reserve",
		map[string]any{"userId": user, "amount": 0.5, "reason": "a reservation"}, key...)
	if err != nil {
		return err
	}
	if _, err := c.ask(ctx, http.StatusOK, http.MethodPost, "auth", "/api/v1/internal/credits/commit",
		map[string]any{"reservationId": held.Text("reservationId"), "amount": 0.25}, key...); err != nil {
		return err
	}
	a, err = c.ask(ctx, http.StatusOK, http.MethodPost, "auth", "/api/v1/auth/refresh", map[string]string{"refreshToken": c.refresh})
	if err != nil {
		return err
	}
	c.access, c.refresh = a.Text("accessToken"), a.Text("refreshToken")
	if _, err := c.ask(ctx, http.StatusOK, http.MethodGet, "app", "/api/whoami", nil); err != nil {
		return err
	}
	_, err = c.ask(ctx, http.StatusOK, http.MethodPost, "auth", "/api/v1/auth/logout", map[string]string{"refreshToken": c.refresh})
	return err
}

const serviceKey = "the service key of the rolling upgrade, long enough"

const rollingSite = `
	@fixed path /api/generate
	mana_credits @fixed 0.5 {
		app rolling
		operation fixed
	}`

// Two edges are replaced, one after the other, by the version after theirs, which
// brings a migration and other functions of the ledger, under load: no request
// fails, and every credit is accounted for.
func TestRollingUpgrade(t *testing.T) {
	db := pgtest.New(t)
	options := "service_key {env.MANA_CORE_SERVICE_KEY}"
	make := func(first *Edge, binary string) *Edge {
		e := newEdge(t)
		e.Binary, e.Options, e.Site = binary, options, rollingSite
		e.use(db.DSN)
		e.Env = append(e.Env, "MANA_CORE_SERVICE_KEY="+serviceKey)
		if first != nil {
			e.BaseURL = first.Auth()
		}
		e.start(t)
		return e
	}
	next := buildNext(t)
	old := make(nil, "")
	older := make(old, "")
	lb := &balancer{edges: []*Edge{old, older}}

	const clients = 4
	var served atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	stop := func() { cancel(); wg.Wait() }
	defer stop()
	for i := range clients {
		c := &rollingClient{lb: lb, client: old.client(), email: fmt.Sprintf("rolling%d@mana.how", i), served: &served}
		register(t, old, c.email, fmt.Sprintf("10.7.%d.1", i))
		old.run(t, "mana", "credits", "grant", "--config", old.config, "--user", c.email, "--amount", "10000", "--reason", "load")
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c.address = fmt.Sprintf("10.7.%d.%d", i, n%250+1)
				if err := c.round(t.Context(), n); err != nil {
					t.Errorf("client %d, round %d: %v", i, n, err)
					return
				}
			}
		})
	}
	during := func(what string, least int64) {
		t.Helper()
		before := served.Load()
		for deadline := time.Now().Add(time.Minute); served.Load() < before+least && !t.Failed(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d requests in a minute", what, served.Load()-before)
			}
		}
		t.Logf("%s: %d requests", what, served.Load())
		if t.Failed() {
			stop()
			t.FailNow()
		}
	}

	during("both old", 200)
	first := make(old, next)
	during("a new one has migrated, both old ones are asked", 200)
	lb.set(old, older, first)
	during("old and new side by side", 300)
	lb.set(older, first)
	old.stop(t)
	second := make(old, next)
	lb.set(older, first, second)
	during("one old, two new", 300)
	lb.set(first, second)
	older.stop(t)
	during("both new", 200)
	stop()
	first.wantSound(t)

	t.Run("the old version does not start any more", func(t *testing.T) {
		out, err := old.command(t.Context(), "run", "--config", old.config, "--adapter", "caddyfile").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "database schema is newer than this binary") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
