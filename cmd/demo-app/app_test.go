package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	main "mana.how/edge/cmd/demo-app"
)

func TestWhoamiTellsTheHeaders(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/api/whoami", nil)
	r.Header.Set("X-Mana-User-Id", "u1")
	r.Header.Set("X-Mana-Email", "ada@mana.how")
	r.Header.Set("X-Mana-Role", "user")
	r.Header.Set("X-Mana-Session-Id", "s1")
	r.Header.Set("Authorization", "Bearer a.b.c")
	w := httptest.NewRecorder()
	main.NewApp("https://auth.mana.localhost").ServeHTTP(w, r)

	var got main.Identity
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := main.Identity{UserID: "u1", Email: "ada@mana.how", Role: "user", SessionID: "s1", Bearer: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

func TestGenerateAnswersWithALine(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/api/generate", nil)
	r.Header.Set("X-Mana-User-Id", "u1")
	w := httptest.NewRecorder()
	main.NewApp("https://auth.mana.localhost").ServeHTTP(w, r)
	var got struct{ UserID, Text string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.UserID != "u1" || got.Text == "" {
		t.Errorf("%s, %v", w.Body, err)
	}
}

func TestPageEscapesWhatItShows(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "app.mana.localhost:8443"
	r.Header.Set("X-Mana-Email", "<script>alert(1)</script>")
	w := httptest.NewRecorder()
	main.NewApp("https://auth.mana.localhost:8443").ServeHTTP(w, r)

	body := w.Body.String()
	if strings.Contains(body, "<script>") {
		t.Error("the e-mail reached the page unescaped")
	}
	if want := `href="https://auth.mana.localhost:8443/account"`; !strings.Contains(body, want) {
		t.Errorf("the page lacks the link %s:\n%s", want, body)
	}
}

func TestEventsStreamUntilTheRequestEnds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(main.NewApp(""))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Mana-Email", "ada@mana.how")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if !strings.Contains(data, "ada@mana.how") {
				t.Errorf("event %s does not name the caller", data)
			}
			break
		}
	}
	cancel()
	for lines.Scan() { // drains until the server lets go
	}
}
