//go:build conformance

package api_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/freeport"
)

// proxyModule is a module of its own that has oauth2-proxy.
const proxyModule = "../../tools/oauth2proxy"

// oauth2-proxy in front of an app signs its user in through the edge with PKCE, refreshes
// and is refused once the session is over.
func TestOAuth2Proxy(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "oauth2-proxy")
	run(t, proxyModule, "go", "build", "-o", program, "github.com/oauth2-proxy/oauth2-proxy/v7")
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", r.Header.Get("X-Forwarded-Email"), r.Header.Get("X-Forwarded-User"))
	}))
	t.Cleanup(app.Close)
	for _, alg := range []token.Algorithm{token.EdDSA, token.RS256} {
		at := freeport.Address(t)
		s, server, browser := providerFor(t, "http://"+at+"/oauth2/callback")
		ctx, cancel := context.WithCancel(t.Context())
		log := new(output)
		cmd := exec.CommandContext(ctx, program, "--http-address", at, "--provider", "oidc", "--oidc-issuer-url", server.URL, "--client-id", "party-"+string(alg), "--client-secret", appSecret,
			"--redirect-url", "http://"+at+"/oauth2/callback", "--code-challenge-method", "S256", "--scope", "openid profile email offline_access", "--email-domain", "*", "--upstream", app.URL,
			"--cookie-secret", "0123456789abcdef0123456789abcdef", "--cookie-secure=false", "--cookie-refresh", "2s", "--skip-provider-button", "--pass-user-headers")
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cancel()
			_ = cmd.Wait()
		})
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if c, err := net.Dial("tcp", at); err == nil {
				_ = c.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("oauth2-proxy does not start:\n%s", log)
			}
		}
		u := s.userOf("ada@example.test")
		get := func() (status int, body string) {
			t.Helper()
			a, err := browser.Get("http://" + at + "/page?n=1")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = a.Body.Close() }()
			text, err := io.ReadAll(a.Body)
			if err != nil {
				t.Fatal(err)
			}
			return a.StatusCode, string(text)
		}
		if status, body := get(); status != 200 || body != "ada@example.test "+u.ID {
			t.Fatalf("%s: %d %q\n%s", alg, status, body, log)
		}
		refreshes := func() int {
			f, err := dbscope.Row[struct{ Most int }](t.Context(), s.db.Pool, dbscope.System(),
				`SELECT coalesce(max(f.counter), 0)::int AS most FROM auth.refresh_families AS f WHERE f.client_id = $1`, "party-"+string(alg))
			if err != nil {
				t.Fatal(err)
			}
			return f.Most
		}
		for deadline := time.Now().Add(30 * time.Second); refreshes() == 0; time.Sleep(200 * time.Millisecond) {
			if status, body := get(); status != 200 || !strings.HasPrefix(body, "ada@") {
				t.Fatalf("%s: %d %q\n%s", alg, status, body, log)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the proxy never refreshed:\n%s", alg, log)
			}
		}
		// Out at the edge is out at the proxy, once it asks.
		access, _ := s.login("ada@example.test")
		s.send("DELETE", "/api/v1/auth/sessions", nil, bearer(access)).status(200)
		browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			if status, _ := get(); status == 302 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: signed in still:\n%s", alg, log)
			}
		}
	}
}

// run runs a program in a directory to its end.
func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// output is what a program has written so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
