package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/pgtest"
)

// Reloads under load, with streams open, cost nobody anything: not one failed
// request, not one session or stream, and afterwards neither goroutines nor
// connections to PostgreSQL.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	e := startEdgeOn(t, db.DSN)
	register(t, e, "radia@mana.how", "192.0.2.60")
	browser := e.client()
	signIn(t, e, browser, "radia@mana.how")
	access, token := login(t, e, "radia@mana.how", "192.0.2.61")
	streams := []<-chan string{
		stream(t, browser, e.AppURL()+"/events"),
		stream(t, browser, e.Notes()+"/events"),
	}

	// The app's and the API's connections are open before anything is counted.
	work(t, e, browser, access, 500*time.Millisecond)
	goroutinesBefore, connectionsBefore := working(t, e), connections(t, db)

	t.Run("other sites, one fault among them", func(t *testing.T) {
		served := underLoad(t, e, browser, access, func() {
			for i := range 10 {
				e.writeConfig(t, "", fmt.Sprintf("header X-Reload %d", i))
				want(t, e.load(t), http.StatusOK)
				if i == 5 {
					e.writeConfig(t, "access_token_ttl soon", "")
					if a := want(t, e.load(t), http.StatusBadRequest); !strings.Contains(string(a.Body), `access_token_ttl: \"soon\"`) {
						t.Errorf("the fault is not named: %s", a.Body)
					}
				}
			}
		})
		t.Logf("%d requests in 10 reloads", served)
		for _, s := range streams {
			alive(t, s)
		}
		settled(t, "goroutines", func() int { return working(t, e) }, goroutinesBefore+30)
		settled(t, "connections", func() int { return connections(t, db) }, max(connectionsBefore, 12))
	})

	// Each change makes a runtime of its own. An old one holds a single connection
	// while it waits for its last request, and only the streams' one waits long.
	t.Run("other settings", func(t *testing.T) {
		most := 0
		served := underLoad(t, e, browser, access, func() {
			for i := range 10 {
				e.writeConfig(t, fmt.Sprintf("access_token_ttl %dm", 16+i), "")
				want(t, e.load(t), http.StatusOK)
				most = max(most, connections(t, db))
			}
		})
		t.Logf("%d requests in 10 reloads, %d connections at most, %d before", served, most, connectionsBefore)
		for _, s := range streams {
			alive(t, s)
		}
		if limit := 60; most > limit {
			t.Errorf("%d connections at a time, of the 100 that PostgreSQL allows", most)
		}
		settled(t, "connections", func() int { return connections(t, db) }, max(connectionsBefore, 12)+1)
		settled(t, "goroutines", func() int { return working(t, e) }, goroutinesBefore+50)
	})

	want(t, send(t, browser, http.MethodGet, e.AppURL()+"/api/whoami", nil), http.StatusOK)
	a := want(t, refreshAt(t, e, token), http.StatusOK)
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": a.Text("refreshToken")}), http.StatusOK)
	refusedWithin(t, time.Second, e.client(), e.AppURL()+"/api/whoami", "Authorization", "Bearer "+access)

	// The streams began under the first config; its runtime still hears of the end.
	want(t, send(t, browser, http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{}, "Origin", e.AppURL()), http.StatusOK)
	for _, s := range streams {
		ends(t, s)
	}
}

// underLoad runs fn while clients work, and returns how many requests were
// answered. Every one of them must be 200.
func underLoad(t *testing.T, e *Edge, browser *http.Client, access string, fn func()) int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var served atomic.Int64
	var wg sync.WaitGroup
	for i := range 3 {
		client := e.client()
		defer client.CloseIdleConnections()
		for n, r := range rounds(e, browser, client, access) {
			wg.Go(func() {
				for ctx.Err() == nil && !t.Failed() {
					a, err := try(t.Context(), r.client, r.method, r.url, r.body, append(r.headers, "X-Forwarded-For", fmt.Sprintf("10.6.%d.%d", i, served.Load()%250+1))...)
					if err != nil {
						t.Errorf("client %d.%d: %v", i, n, err)
						return
					}
					if a.StatusCode != http.StatusOK {
						t.Errorf("client %d.%d: %s %s: %d: %s", i, n, r.method, r.url, a.StatusCode, a.Body)
						return
					}
					served.Add(1)
					time.Sleep(2 * time.Millisecond) // the machine is shared with other tests
				}
			})
		}
	}
	func() {
		defer wg.Wait() // also where fn ends the test
		defer cancel()
		fn()
	}()
	return served.Load()
}

// work is underLoad without anything to do meanwhile.
func work(t *testing.T, e *Edge, browser *http.Client, access string, d time.Duration) {
	t.Helper()
	underLoad(t, e, browser, access, func() { time.Sleep(d) })
}

// round is a request that is made again and again.
type round struct {
	client      *http.Client
	method, url string
	body        any
	headers     []string
}

func rounds(e *Edge, browser, client *http.Client, access string) []round {
	bearer := []string{"Authorization", "Bearer " + access}
	return []round{
		{browser, http.MethodGet, e.AppURL() + "/api/whoami", nil, nil},
		{client, http.MethodGet, e.Notes() + "/api/whoami", nil, bearer},
		{client, http.MethodGet, e.Auth() + "/api/v1/auth/profile", nil, bearer},
		{client, http.MethodPost, e.Auth() + "/api/v1/auth/validate", map[string]string{"token": access}, nil},
	}
}

// load posts the Caddyfile to the admin endpoint, as reload does.
func (e *Edge) load(t testing.TB) Answer {
	t.Helper()
	text, err := os.ReadFile(e.config)
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/load", e.Admin)
	for try := 1; ; try++ {
		response, err := adminClient.Post(url, "text/caddyfile", bytes.NewReader(text))
		if err != nil {
			if try == loadTries {
				t.Fatal(err)
			}
			continue
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return Answer{Response: response, Body: body}
	}
}

var stackCount = regexp.MustCompile(`(?m)^(\d+) @ `)

// working counts the edge's goroutines but those of connections to the app,
// which reverse_proxy keeps for two minutes.
func working(t testing.TB, e *Edge) (n int) {
	t.Helper()
	a := want(t, send(t, adminClient, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=1", e.Admin), nil), http.StatusOK)
	for _, stack := range strings.Split(string(a.Body), "\n\n") {
		m := stackCount.FindStringSubmatch(stack)
		if m == nil || strings.Contains(stack, "net/http.(*persistConn)") {
			continue
		}
		some, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		n += some
	}
	return n
}

// connections counts those of the edge to its database.
func connections(t testing.TB, db *pgtest.Database) (n int) {
	t.Helper()
	asAdmin(t, db, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`, db.Name).Scan(&n)
	})
	return n
}

// settled waits until a number has come down to a limit.
func settled(t testing.TB, what string, count func() int, limit int) {
	t.Helper()
	n := 0
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(250 * time.Millisecond) {
		if n = count(); n <= limit {
			t.Logf("%s: %d", what, n)
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s stay at %d, more than %d", what, n, limit)
			return
		}
	}
}

// alive fails unless a stream goes on.
func alive(t testing.TB, events <-chan string) {
	t.Helper()
	for range 3 { // what was read before, and one more
		if _, ok := next(t, events); !ok {
			t.Fatal("a reload ended a stream")
		}
	}
}

// ends waits for the end of a stream.
func ends(t testing.TB, events <-chan string) {
	t.Helper()
	limit := time.After(settle)
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-limit:
			t.Fatalf("a stream outlives its session by more than %v", settle)
		}
	}
}
