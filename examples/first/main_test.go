// #region imports
package main

import (
	"net"
	"net/http"
	"os"
	"testing"
)

// #endregion

// #region test
func TestMain(m *testing.M) {
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(l, app()) }() // #nosec G114 -- an example
	os.Exit(m.Run())
}

// ask sends a request of a user, or of nobody, through the gate.
func ask(t *testing.T, method, path, token, key string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, os.Getenv("MANA_SITE")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// #endregion

// #region cases
func TestApp(t *testing.T) {
	rich, poor, owner := os.Getenv("MANA_CREDITS_TOKEN"), os.Getenv("MANA_TOKEN"), os.Getenv("MANA_CREDITS_USER_ID")
	before := balance(t, owner)
	for _, c := range []struct {
		method, path, token, key string
		status                   int
	}{
		{"POST", "/answer", rich, "test-1", 200},
		{"POST", "/answer", rich, "test-1", 200}, // counts once
		{"POST", "/answer?about=everything", rich, "", 500},
		{"GET", "/picture", rich, "", 200},
		{"POST", "/answer", poor, "", 402},
		{"GET", "/picture", poor, "", 402},
		{"POST", "/answer", "", "", 401},
	} {
		if resp := ask(t, c.method, c.path, c.token, c.key); resp.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, resp.StatusCode, c.status)
		}
	}
	if after := balance(t, owner); after != before-2-4 {
		t.Errorf("of %v credits %v are left", before, after)
	}
}

// #endregion

// #region balance
func balance(t *testing.T, userID string) float64 {
	t.Helper()
	b, err := edge.Balance(t.Context(), userID)
	if err != nil {
		t.Fatal(err)
	}
	return b.Balance
}

// #endregion

func TestAskedTooOften(t *testing.T) {
	for range 6 {
		if resp := ask(t, "POST", "/answer", os.Getenv("MANA_ADMIN_TOKEN"), ""); resp.StatusCode == http.StatusTooManyRequests {
			if resp.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			return
		}
	}
	t.Error("nobody is asked to wait")
}

func TestAroundTheGate(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+os.Getenv("PORT")+"/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Mana-User-Id", "somebody")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("around the gate: %d", resp.StatusCode)
	}
}
