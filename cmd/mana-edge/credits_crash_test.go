package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mana.how/edge/creditcore"
)

// paidSite sells two routes: one debited first, one held and settled.
const paidSite = `
	@fixed path /api/generate
	mana_credits @fixed 0.5 {
		app crash
		operation fixed
	}
	@open path /api/whoami
	mana_credits @open 0.3 {
		app crash
		operation open
		cost_from X-Mana-Cost
		hold_ttl 2s
	}`

// meteredClient calls the paid routes and remembers what it was told.
type meteredClient struct {
	client *http.Client
	bearer string

	mu      sync.Mutex
	sent    creditcore.Amount // the most that its requests can have cost
	charged creditcore.Amount // what answers said
}

func (m *meteredClient) run(ctx context.Context, t *testing.T, app string) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for ctx.Err() == nil {
		path, price := "/api/generate", creditcore.Amount(500)
		if rng.IntN(2) == 0 {
			path, price = "/api/whoami", 300
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, app+path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Authorization", "Bearer "+m.bearer)
		m.mu.Lock()
		m.sent += price
		m.mu.Unlock()
		response, err := m.client.Do(request)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the edge is down
			continue
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		cost, err := creditcore.ParseAmount(response.Header.Get("Mana-Credits-Cost"))
		switch {
		case response.StatusCode == http.StatusOK && err != nil:
			t.Errorf("an answer without its cost: %v", response.Header)
		case response.StatusCode == http.StatusOK:
			m.mu.Lock()
			m.charged += cost
			m.mu.Unlock()
		case response.StatusCode < 500:
			t.Errorf("status %d", response.StatusCode)
		}
	}
}

// The edge and PostgreSQL are killed at random points of a metered load. What
// was answered has its ledger row, nothing else was charged but what was on its
// way, and the audit is clean.
func TestKillUnderMeteredLoad(t *testing.T) {
	t.Parallel()
	rounds := 6
	if *soak > time.Minute {
		rounds = int(*soak / (5 * time.Second))
	}
	e := newEdge(t)
	e.Site = paidSite
	e.start(t)
	const users, funds = 4, 1_000_000
	clients := make([]*meteredClient, users)
	for i := range clients {
		address := fmt.Sprintf("crash%d@mana.how", i)
		register(t, e, address, fmt.Sprintf("198.51.100.%d", 100+i))
		tokens := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login",
			map[string]string{"email": address, "password": password}), http.StatusOK)
		e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", address, "--amount", strconv.Itoa(funds))
		clients[i] = &meteredClient{client: e.client(), bearer: tokens.Text("accessToken")}
	}
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		stop := func() {
			cancel()
			load.Wait()
		}
		t.Cleanup(stop) // where the test ends early
		for _, m := range clients {
			for range 4 {
				load.Go(func() { m.run(ctx, t, e.AppURL()) })
			}
		}
		time.Sleep(300*time.Millisecond + rand.N(400*time.Millisecond))
		if round%2 == 0 {
			e.kill(t)
			e.start(t)
		} else {
			e.killDatabase(t)
			time.Sleep(500 * time.Millisecond) // the load goes on meanwhile
		}
		time.Sleep(300 * time.Millisecond)
		stop()
		e.awaitReady(t)
	}

	var report struct {
		Breaches []creditcore.Breach
	}
	decode(t, e.run(t, "mana", "credits", "audit", "--config", e.config, "--json"), &report)
	for _, b := range report.Breaches {
		t.Errorf("audit: %+v", b)
	}
	for i, m := range clients {
		spent := e.settledSpending(t, m, fmt.Sprintf("crash%d@mana.how", i))
		if spent < m.charged || spent > m.sent {
			t.Errorf("client %d: %s spent, answers say %s, requests could cost %s", i, spent, m.charged, m.sent)
		}
		if m.charged == 0 {
			t.Errorf("client %d was never charged", i)
		}
	}
}

// settledSpending is what the user spent once every hold is resolved.
func (e *Edge) settledSpending(t *testing.T, m *meteredClient, address string) creditcore.Amount {
	t.Helper()
	last := creditcore.Amount(-1)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		// A new sign-in: the old token may have expired meanwhile.
		tokens := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login",
			map[string]string{"email": address, "password": password}, "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", rand.IntN(250))), http.StatusOK)
		answer := want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/api/v1/credits/balance", nil,
			"Authorization", "Bearer "+tokens.Text("accessToken")), http.StatusOK)
		var balance struct{ Balance, TotalEarned, TotalSpent creditcore.Amount }
		if err := json.Unmarshal(answer.Body, &balance); err != nil {
			t.Fatal(err)
		}
		if balance.Balance != balance.TotalEarned-balance.TotalSpent {
			t.Fatalf("balance: %s", answer.Body)
		}
		if balance.TotalSpent == last && balance.TotalSpent >= m.charged || time.Now().After(deadline) {
			return balance.TotalSpent
		}
		last = balance.TotalSpent
		time.Sleep(2 * time.Second)
	}
}

// kill ends the edge as a power cut does. Its embedded server goes with it or
// is found again by the next one.
func (e *Edge) kill(t testing.TB) {
	t.Helper()
	if err := e.edge.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err := <-e.exited
	e.exited <- err
}

// killDatabase kills the embedded server's first process.
func (e *Edge) killDatabase(t testing.TB) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(e.dir, "postgres", "*", "postmaster.pid"))
	if own, err := filepath.Glob(filepath.Join(e.dir, "postgres", "postmaster.pid")); err == nil {
		found = append(found, own...)
	}
	if err != nil || len(found) == 0 {
		t.Fatalf("no embedded server: %v", err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(text), "\n", 2)[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
