package edge_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"mana.how/edge/internal/freeport"
)

// With the log of Caddyfile.example, no secret that a client sends is written.
func TestExampleLogsNoSecret(t *testing.T) {
	text, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "# (logged) {\n")
	if !ok {
		t.Fatal("Caddyfile.example has no snippet (logged)")
	}
	snippet, _, _ := strings.Cut(after, "# }\n")
	snippet = strings.ReplaceAll(snippet, "# ", "")
	file := filepath.Join(t.TempDir(), "access.log")
	snippet = strings.Replace(snippet, "log {", "log {\noutput file "+file, 1)

	address := freeport.Address(t)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, "{\nadmin off\npersist_config off\n}\nhttp://%s {\n%s\nredir /api/auth/reset-password/secret-8 /reset-password?token=secret-9\nrespond ok\n}\n", address, snippet), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	links := []string{
		"/reset?token=secret-1&code=secret-2&page=kept",
		"/api/auth/verify-email?callbackURL=%2F&token=secret-a&redirectTo=https%3A%2F%2Fchat.mana.how",
		"/api/auth/magic-link/verify?callbackURL=https%3A%2F%2Fchat.mana.how%2F%3Ftoken%3Dsecret-b&token=secret-c",
		"/api/auth/change-email/verify?token=secret-d",
		"/api/auth/change-email/undo?token=secret-e",
		"/api/auth/reset-password/secret-8",
		"/api/auth/reset-password/secret-f?callbackURL=https%3A%2F%2Fchat.mana.how",
		"/reset-password?TOKEN=secret-g",
		"/register?invitation=secret-h",
		"/api/v1/storage/upload/secret-i",
	}
	for _, link := range links {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+link, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Authorization": "Bearer secret-3", "X-Service-Key": "secret-4", "x-api-key": "sk_live_secret-5",
			"Cookie": "mana.session_token=secret-6", "Proxy-Authorization": "secret-7", "X-Other": "kept",
			"Referer": "http://" + address + link,
		} {
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	var logged []byte
	for deadline := time.Now().Add(5 * time.Second); strings.Count(string(logged), "\n") < len(links) && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		logged, _ = os.ReadFile(file)
	}
	if n := strings.Count(string(logged), "\n"); n != len(links) || !strings.Contains(string(logged), "/reset-password?token=REDACTED") {
		t.Errorf("%d lines of %d requests: %s", n, len(links), logged)
	}
	if !strings.Contains(string(logged), "page=kept") || !strings.Contains(string(logged), "X-Other") {
		t.Errorf("the log lacks what it should hold: %s", logged)
	}
	if strings.Contains(string(logged), "secret-") {
		t.Errorf("the log holds a secret: %s", logged)
	}
}
