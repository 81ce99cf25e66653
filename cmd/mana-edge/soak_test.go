package main_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var soak = flag.Duration("soak", 6*time.Second, "how long TestSoak runs")

const soakUsers = 4

// Users sign in, use an app, refresh and sign out while the config is reloaded
// under them. Nothing may fail, a signed-out token may not work, and goroutines may not pile up.
func TestSoak(t *testing.T) {
	e := startEdge(t)
	for i := range soakUsers {
		register(t, e, soakEmail(i), fmt.Sprintf("198.51.100.%d", i+1))
	}
	before := goroutines(t, e)

	ctx, cancel := context.WithTimeout(t.Context(), *soak)
	defer cancel()
	var rounds, reloads atomic.Int64
	var wg sync.WaitGroup
	for i := range soakUsers {
		wg.Go(func() {
			for round := 0; ctx.Err() == nil && !t.Failed(); round++ {
				if err := soakRound(t.Context(), e, i, round); err != nil {
					t.Error(err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	func() {
		defer wg.Wait() // also where a reload ends the test
		for i := 0; ctx.Err() == nil && !t.Failed(); i++ {
			e.writeConfig(t, "", fmt.Sprintf("header X-Reload %d", i))
			e.reload(t)
			reloads.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	t.Logf("%d rounds, %d reloads in %v", rounds.Load(), reloads.Load(), *soak)
	if rounds.Load() == 0 || reloads.Load() == 0 {
		t.Error("nothing was done")
	}

	var after int
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		if after = goroutines(t, e); after <= 2*before+100 || time.Now().After(deadline) {
			break
		}
	}
	t.Logf("goroutines: %d before, %d after", before, after)
	if after > 2*before+100 {
		t.Errorf("goroutines rose from %d to %d", before, after)
	}
}

// soakRound is one session of a user from sign-in to sign-out. Each comes from
// an address of its own, for this is no test of the limits.
func soakRound(ctx context.Context, e *Edge, user, round int) error {
	address := fmt.Sprintf("10.%d.%d.%d", user+1, round/250%250, round%250+1)
	client := e.client()
	defer client.CloseIdleConnections()
	whoami := e.AppURL() + "/api/whoami"

	post := func(path string, body map[string]string) (Answer, error) {
		return try(ctx, client, http.MethodPost, e.Auth()+"/api/v1/auth/"+path, body, "X-Forwarded-For", address)
	}

	a, err := post("login", map[string]string{"email": soakEmail(user), "password": password, "deviceId": "soak"})
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if a.StatusCode == http.StatusTooManyRequests { // the limit of the account, which no address evades
		time.Sleep(time.Second)
		return nil
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("login: %d: %s", a.StatusCode, a.Body)
	}
	access, refresh := a.Text("accessToken"), a.Text("refreshToken")
	for range 20 {
		if a, err = try(ctx, client, http.MethodGet, whoami, nil, "Authorization", "Bearer "+access); err != nil {
			return fmt.Errorf("whoami: %w", err)
		}
		if a.StatusCode != http.StatusOK || a.Text("email") != soakEmail(user) {
			return fmt.Errorf("whoami: %d: %s", a.StatusCode, a.Body)
		}
	}
	if a, err = post("refresh", map[string]string{"refreshToken": refresh}); err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("refresh: %d: %s", a.StatusCode, a.Body)
	}
	access, refresh = a.Text("accessToken"), a.Text("refreshToken")
	if a, err = post("logout", map[string]string{"refreshToken": refresh}); err != nil {
		return fmt.Errorf("logout: %w", err)
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("logout: %d: %s", a.StatusCode, a.Body)
	}
	return refusal(ctx, settle, client, whoami, "Authorization", "Bearer "+access)
}

func soakEmail(i int) string { return "soak" + strconv.Itoa(i) + "@mana.how" }

var goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)

// goroutines asks the edge's admin endpoint.
func goroutines(t testing.TB, e *Edge) int {
	t.Helper()
	a := want(t, send(t, adminClient, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/goroutine?debug=1", e.Admin), nil), http.StatusOK)
	m := goroutineTotal.FindSubmatch(a.Body)
	if m == nil {
		t.Fatalf("no total in the goroutine profile: %.100s", a.Body)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
