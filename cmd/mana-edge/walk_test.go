package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const password = "correct horse battery"

// settle is how long a revocation may take to reach the gate in these tests.
const settle = 5 * time.Second

// register makes an account. Each from an address of its own, for the limit counts by address.
func register(t testing.TB, e *Edge, email, address string) {
	t.Helper()
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/register",
		map[string]string{"email": email, "password": password, "name": "Ada"}, "X-Forwarded-For", address), http.StatusCreated)
}

// login signs in and returns the access and the refresh token.
func login(t testing.TB, e *Edge, email, address string) (access, refresh string) {
	t.Helper()
	a := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login",
		map[string]string{"email": email, "password": password}, "X-Forwarded-For", address), http.StatusOK)
	return a.Text("accessToken"), a.Text("refreshToken")
}

// signIn signs a browser in, so that it holds the cookie.
func signIn(t testing.TB, e *Edge, browser *http.Client, email string) {
	t.Helper()
	want(t, send(t, browser, http.MethodPost, e.Auth()+"/api/auth/sign-in/email",
		map[string]any{"email": email, "password": password, "rememberMe": true}, "Origin", e.Auth()), http.StatusOK)
}

// refusedWithin asks until the answer is 401.
func refusedWithin(t testing.TB, limit time.Duration, client *http.Client, url string, headers ...string) {
	t.Helper()
	if err := refusal(t.Context(), limit, client, url, headers...); err != nil {
		t.Fatal(err)
	}
}

// refusal waits until the answer is 401.
func refusal(ctx context.Context, limit time.Duration, client *http.Client, url string, headers ...string) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		a, err := try(ctx, client, http.MethodGet, url, nil, headers...)
		if err != nil {
			return err
		}
		if a.StatusCode == http.StatusUnauthorized {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s still answers %d, %v after the session ended: %s", url, a.StatusCode, limit, a.Body)
		}
	}
}

// The walk of README.md: an account, its tokens, an app behind the gate, the end.
func TestWalk(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	client := e.client()
	whoami := e.AppURL() + "/api/whoami"

	anonymous := want(t, send(t, client, http.MethodGet, whoami, nil, "X-Mana-User-Id", "forged"), http.StatusUnauthorized)
	if got := anonymous.Text("message"); got != "No token provided" {
		t.Errorf("message for nobody = %q", got)
	}
	if got := anonymous.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate = %q", got)
	}

	register(t, e, "Ada@Mana.how", "192.0.2.1")
	access, refresh := login(t, e, "ada@mana.how", "192.0.2.1")

	seen := want(t, send(t, client, http.MethodGet, whoami, nil,
		"Authorization", "Bearer "+access, "X-Mana-Role", "admin", "X_Mana_User_Id", "forged"), http.StatusOK)
	if got := seen.Text("email"); got != "ada@mana.how" {
		t.Errorf("the app was told e-mail %q", got)
	}
	if got := seen.Text("role"); got != "user" {
		t.Errorf("the app was told role %q", got)
	}

	valid := want(t, send(t, client, http.MethodPost, e.Auth()+"/api/v1/auth/validate", map[string]string{"token": access}), http.StatusOK)
	if valid.JSON()["valid"] != true {
		t.Errorf("validate: %s", valid.Body)
	}

	renewed := want(t, send(t, client, http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh}), http.StatusOK)
	access, refresh = renewed.Text("accessToken"), renewed.Text("refreshToken")
	want(t, send(t, client, http.MethodGet, whoami, nil, "Authorization", "Bearer "+access), http.StatusOK)

	want(t, send(t, client, http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": refresh}), http.StatusOK)
	refusedWithin(t, settle, client, whoami, "Authorization", "Bearer "+access)
	dead := want(t, send(t, client, http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh}), http.StatusUnauthorized)
	if got := dead.Text("message"); got != "Invalid refresh token" {
		t.Errorf("message of a dead refresh token = %q", got)
	}
}

// One sign-in serves every sub-domain, and one sign-out ends it on all.
func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	register(t, e, "grace@mana.how", "192.0.2.2")
	browser := e.client()
	navigation := []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}

	away := want(t, send(t, browser, http.MethodGet, e.AppURL()+"/?page=2", nil, navigation...), http.StatusFound)
	location, err := url.Parse(away.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if got := location.Scheme + "://" + location.Host + location.Path; got != e.Auth()+"/login" {
		t.Errorf("the gate leads to %s", got)
	}
	if got := location.Query().Get("returnUrl"); got != e.AppURL()+"/?page=2" {
		t.Errorf("returnUrl = %q", got)
	}

	signIn(t, e, browser, "grace@mana.how")
	for _, app := range []string{e.AppURL(), e.Notes()} {
		seen := want(t, send(t, browser, http.MethodGet, app+"/api/whoami", nil), http.StatusOK)
		if seen.Text("email") != "grace@mana.how" || seen.JSON()["bearer"] != true {
			t.Errorf("%s was told %s", app, seen.Body)
		}
	}

	foreign := send(t, browser, http.MethodPost, e.AppURL()+"/api/whoami", map[string]string{}, "Origin", "https://evil.example")
	want(t, foreign, http.StatusForbidden)

	want(t, send(t, browser, http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{}, "Origin", e.AppURL()), http.StatusOK)
	for _, app := range []string{e.AppURL(), e.Notes()} {
		refusedWithin(t, settle, browser, app+"/api/whoami")
	}
}

// A reload drops neither sessions nor open streams, a sign-out ends the streams.
func TestReloadKeepsSessionsAndStreams(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	register(t, e, "linus@mana.how", "192.0.2.3")
	browser := e.client()
	signIn(t, e, browser, "linus@mana.how")

	ticks := stream(t, browser, e.AppURL()+"/events")
	if _, ok := next(t, ticks); !ok {
		t.Fatal("the stream ended at once")
	}
	e.writeConfig(t, "access_token_ttl 10m", "")
	e.reload(t)
	for range 2 {
		if _, ok := next(t, ticks); !ok {
			t.Fatal("the reload ended the stream")
		}
	}
	want(t, send(t, browser, http.MethodGet, e.AppURL()+"/api/whoami", nil), http.StatusOK)

	want(t, send(t, browser, http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{}, "Origin", e.AppURL()), http.StatusOK)
	ended := time.After(settle)
	for {
		select {
		case _, ok := <-ticks:
			if !ok {
				return
			}
		case <-ended:
			t.Fatalf("the stream outlives the session by more than %v", settle)
		}
	}
}

// What was there before a restart is there after it, and a dead session stays dead.
func TestRestartKeepsAccountsAndRevocations(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	register(t, e, "alan@mana.how", "192.0.2.4")
	live, _ := login(t, e, "alan@mana.how", "192.0.2.4")
	dead, refresh := login(t, e, "alan@mana.how", "192.0.2.4")
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": refresh}), http.StatusOK)

	e.stop(t)
	began := time.Now()
	e.start(t)
	t.Logf("ready %v after the start with an initialised database", time.Since(began).Round(time.Millisecond))

	whoami := e.AppURL() + "/api/whoami"
	want(t, send(t, e.client(), http.MethodGet, whoami, nil, "Authorization", "Bearer "+live), http.StatusOK)
	want(t, send(t, e.client(), http.MethodGet, whoami, nil, "Authorization", "Bearer "+dead), http.StatusUnauthorized)
}

// stream reads the events of a server-sent stream; the channel closes when it ends.
func stream(t testing.TB, client *http.Client, url string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	endless := *client
	endless.Timeout = 0
	response, err := endless.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, response.Status)
	}
	events := make(chan string)
	go func() {
		defer close(events)
		defer response.Body.Close()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				select {
				case events <- data:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return events
}

// next waits for one event.
func next(t testing.TB, events <-chan string) (string, bool) {
	t.Helper()
	select {
	case event, ok := <-events:
		return event, ok
	case <-time.After(10 * time.Second):
		t.Fatal(fmt.Errorf("no event for ten seconds"))
		return "", false
	}
}
