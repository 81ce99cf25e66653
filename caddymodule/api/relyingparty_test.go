package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/npmtest"
)

// providerFor is a provider over HTTP with a client of each signing algorithm that is led
// back to an address, and a browser in which ada has signed in.
func providerFor(t *testing.T, redirect string) (*site, *httptest.Server, *http.Client) {
	t.Helper()
	var clients []openid.Client
	for _, alg := range []token.Algorithm{token.EdDSA, token.RS256} {
		clients = append(clients, openid.Client{
			ID: "party-" + string(alg), SecretDigest: openid.DigestOf(appSecret), Trusted: true, RedirectURIs: []string{redirect},
			PostLogoutRedirectURIs: []string{"https://app.partner.test/bye"}, Algorithm: alg,
		})
	}
	s, server := overHTTP(t, clients...)
	s.register("ada@example.test")
	s.change(`UPDATE auth.users SET email_verified = true`)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: time.Minute}
	in, err := browser.Post(server.URL+"/api/auth/sign-in/email", "application/json", strings.NewReader(`{"email":"ada@example.test","password":"`+testPassword+`"}`))
	if err != nil || in.StatusCode != 200 {
		t.Fatalf("sign in: %v", err)
	}
	_ = in.Body.Close()
	return s, server, browser
}

// openid-client, which is certified as a relying party, signs a user in, refreshes,
// introspects, revokes and signs out, with either algorithm.
func TestOpenIDClientOfNode(t *testing.T) {
	t.Parallel()
	modules := npmtest.Dir(t)
	s, server, browser := providerFor(t, appCallback)
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, alg := range []token.Algorithm{token.EdDSA, token.RS256} {
		id := "party-" + string(alg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "node", "openid-client.mjs", server.URL, id, appSecret, appCallback, string(alg))
		cmd.Dir = modules
		complaint := new(strings.Builder)
		cmd.Stderr = complaint
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		next := func() string {
			t.Helper()
			if !lines.Scan() {
				_ = cmd.Wait()
				t.Fatalf("%s: openid-client says no more:\n%s", id, complaint)
			}
			return lines.Text()
		}
		led, err := browser.Get(next())
		if err != nil {
			t.Fatal(err)
		}
		_ = led.Body.Close()
		if _, err := io.WriteString(in, led.Header.Get("Location")+"\n"); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Claims, Info, Told, Afterwards, Refreshed map[string]any
			Out                                       string
		}
		if err := json.Unmarshal([]byte(next()), &got); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err, complaint)
		}
		u := s.userOf("ada@example.test")
		if got.Claims["sub"] != u.ID || got.Claims["email"] != "ada@example.test" || got.Claims["email_verified"] != true || got.Info["email"] != "ada@example.test" ||
			got.Refreshed["sub"] != u.ID || got.Refreshed["sid"] != got.Claims["sid"] || got.Refreshed["auth_time"] != got.Claims["auth_time"] {
			t.Errorf("%s: %+v", id, got)
		}
		if got.Told["active"] != true || got.Told["sub"] != u.ID || got.Afterwards["active"] != false {
			t.Errorf("%s: introspection says %v, and after the end %v", id, got.Told, got.Afterwards)
		}
		if out, err := url.Parse(got.Out); err != nil || out.Path != "/api/auth/oauth2/endsession" || out.Query().Get("id_token_hint") == "" {
			t.Errorf("%s: signs out at %s (%v)", id, got.Out, err)
		}
	}
}
