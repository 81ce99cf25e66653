package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/pgtest"
)

// example is a Caddyfile of examples/caddyfiles that runs on this machine.
type example struct {
	*Edge
	access string // of ada@mana.how, an account
}

// The Caddyfiles of examples/caddyfiles do what they say. wildcard-dns needs a
// module that is not in the binary: it is validated only.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	app, rpc := exampleApp(t), exampleRPC(t)
	run := func(name string, check func(*testing.T, example), changes ...string) {
		t.Run(name, func(t *testing.T) {
			check(t, startExample(t, name, append(changes, "localhost:3000", app, "localhost:50051", rpc)...))
		})
	}
	guest := func(t *testing.T, e example, url string, headers ...string) Answer {
		t.Helper()
		return send(t, e.client(), http.MethodGet, url, nil, headers...)
	}
	user := func(t *testing.T, e example, url string, headers ...string) Answer {
		t.Helper()
		return guest(t, e, url, append(headers, "Authorization", "Bearer "+e.access)...)
	}
	known := func(t *testing.T, a Answer) {
		t.Helper()
		if want(t, a, http.StatusOK); a.Text("email") != "ada@mana.how" {
			t.Errorf("the app is told %s", a.Body)
		}
	}
	nobody := func(t *testing.T, a Answer) {
		t.Helper()
		if want(t, a, http.StatusOK); a.Text("email") != "" {
			t.Errorf("the app is told of a guest: %s", a.Body)
		}
	}
	navigation := []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	ledBySignIn := func(t *testing.T, e example, a Answer) {
		t.Helper()
		if want(t, a, http.StatusFound); !strings.HasPrefix(a.Header.Get("Location"), e.Auth()+"/login?") {
			t.Errorf("led to %s", a.Header.Get("Location"))
		}
	}

	run("one-app", func(t *testing.T, e example) {
		ledBySignIn(t, e, guest(t, e, e.at("app"), navigation...))
		want(t, guest(t, e, e.at("app")+"/api/x"), http.StatusUnauthorized)
		known(t, user(t, e, e.at("app")+"/api/x"))
		browser := e.client()
		signIn(t, e.Edge, browser, "ada@mana.how")
		known(t, send(t, browser, http.MethodGet, e.at("app")+"/", nil))
	})
	redis := startRedis(t)
	run("family", func(t *testing.T, e example) {
		nobody(t, guest(t, e, e.at("")+"/"))
		known(t, user(t, e, e.at("")+"/"))
		want(t, guest(t, e, e.at("todo")+"/"), http.StatusUnauthorized)
		known(t, user(t, e, e.at("todo")+"/"))
		known(t, user(t, e, e.at("chat")+"/"))
		want(t, user(t, e, e.at("chat")+"/api/generate"), http.StatusPaymentRequired)
		e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", "ada@mana.how", "--amount", "5", "--reason", "test")
		if a := user(t, e, e.at("chat")+"/api/generate"); a.Header.Get("Mana-Credits-Cost") != "5" {
			t.Errorf("a generation costs %q: %d", a.Header.Get("Mana-Credits-Cost"), a.StatusCode)
		}
		want(t, user(t, e, e.at("chat")+"/api/generate"), http.StatusPaymentRequired)
		want(t, user(t, e, e.at("admin")+"/"), http.StatusForbidden)
	}, "{env.REDIS_URL}", fmt.Sprintf("redis://127.0.0.1:%d", redis.port))
	run("behind-cloudflare", func(t *testing.T, e example) {
		known(t, user(t, e, e.at("app")+"/", "Cf-Connecting-Ip", "198.51.100.7"))
		body := map[string]string{"email": "ada@mana.how", "password": "wrong password"}
		want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login", body, "Cf-Connecting-Ip", "198.51.100.7", "X-Forwarded-For", "203.0.113.1"), http.StatusUnauthorized)
		e.wantAddress(t, "198.51.100.7")
	}, "trusted_proxies static ", "trusted_proxies static 127.0.0.1/32 ")
	run("behind-proxy", func(t *testing.T, e example) {
		plain := func(name, path string, headers ...string) Answer {
			return e.plain(t, http.MethodGet, name, path, nil, append(headers, "X-Forwarded-Proto", "https", "X-Forwarded-For", "198.51.100.8")...)
		}
		want(t, plain("app", "/"), http.StatusUnauthorized)
		known(t, plain("app", "/", "Authorization", "Bearer "+e.access))
		ledBySignIn(t, e, plain("app", "/", navigation...))
		body := map[string]string{"email": "ada@mana.how", "password": "wrong password"}
		want(t, e.plain(t, http.MethodPost, "auth", "/api/v1/auth/login", body, "X-Forwarded-Proto", "https", "X-Forwarded-For", "198.51.100.8"), http.StatusUnauthorized)
		e.wantAddress(t, "198.51.100.8")
	})
	run("on-demand-tls", func(t *testing.T, e example) {
		customer := fmt.Sprintf("https://customer.localhost:%d", e.HTTPS)
		want(t, guest(t, e, customer+"/api/x"), http.StatusUnauthorized)
		known(t, user(t, e, customer+"/api/x"))
		nobody(t, guest(t, e, customer+"/"))
		if a, err := try(t.Context(), e.client(), http.MethodGet, fmt.Sprintf("https://stranger.localhost:%d/", e.HTTPS), nil); err == nil {
			t.Errorf("a certificate for a stranger: %d", a.StatusCode)
		}
	})
	run("grpc", func(t *testing.T, e example) {
		call := func(path string, headers ...string) Answer {
			return send(t, e.client(), http.MethodPost, e.at("grpc")+path, nil, append(headers, "Content-Type", "application/grpc", "Te", "trailers")...)
		}
		bearer := []string{"Authorization", "Bearer " + e.access}
		want(t, call("/mana.demo.Model/List"), http.StatusUnauthorized)
		if a := want(t, call("/mana.demo.Model/List", bearer...), http.StatusOK); a.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("grpc-status %q", a.Trailer.Get("Grpc-Status"))
		}
		want(t, call("/mana.demo.Model/Generate", bearer...), http.StatusPaymentRequired)
		e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", "ada@mana.how", "--amount", "5", "--reason", "test")
		// It fails inside a 200, which is free, as often as one likes.
		for range 2 {
			if a := want(t, call("/mana.demo.Model/Generate", bearer...), http.StatusOK); a.Trailer.Get("Grpc-Status") != "13" {
				t.Errorf("grpc-status %q", a.Trailer.Get("Grpc-Status"))
			}
		}
	})
	run("websocket", func(t *testing.T, e example) {
		upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
		client := e.client()
		client.Transport = &http.Transport{DialContext: dial, DialTLSContext: dialHTTP1}
		want(t, send(t, client, http.MethodGet, e.at("chat")+"/ws", nil, upgrade...), http.StatusUnauthorized)
		wantEcho(t, client, e.at("chat")+"/ws", append(upgrade, "Authorization", "Bearer "+e.access)...)
	})
	files := t.TempDir()
	for name, text := range map[string]string{
		"index.html": `<p>{{placeholder "http.auth.user.email"}}</p>`, "assets/style.css": "p { color: teal }",
	} {
		if err := os.MkdirAll(filepath.Join(files, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("static-site", func(t *testing.T, e example) {
		want(t, guest(t, e, e.at("docs")+"/assets/style.css"), http.StatusOK)
		ledBySignIn(t, e, guest(t, e, e.at("docs")+"/", navigation...))
		if a := want(t, user(t, e, e.at("docs")+"/"), http.StatusOK); string(a.Body) != "<p>ada@mana.how</p>" {
			t.Errorf("the page is %s", a.Body)
		}
	}, "/srv/docs", files)
	run("several-families", func(t *testing.T, e example) {
		known(t, user(t, e, e.at("app")+"/"))
		other := fmt.Sprintf("https://app.other.localhost:%d", e.HTTPS)
		want(t, guest(t, e, other+"/api/x"), http.StatusUnauthorized)
		known(t, user(t, e, other+"/api/x"))
		nobody(t, guest(t, e, other+"/"))
		authorize := e.Auth() + "/api/auth/oauth2/authorize?response_type=code&client_id=other&scope=openid&state=s&code_challenge_method=S256" +
			"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri="
		if a := guest(t, e, authorize+other+"/callback"); a.StatusCode != http.StatusFound || !strings.Contains(a.Header.Get("Location"), "/login") {
			t.Errorf("the other family is led to %q: %d %s", a.Header.Get("Location"), a.StatusCode, a.Body)
		}
		want(t, guest(t, e, authorize+"https://evil.example/callback"), http.StatusBadRequest)
	})
}

// at is the origin of a site of the example.
func (e example) at(name string) string {
	if name != "" {
		name += "."
	}
	return fmt.Sprintf("https://%smana.localhost:%d", name, e.HTTPS)
}

// plain asks as a proxy in front does: by HTTP, for the name that the browser has.
func (e example) plain(t testing.TB, method, name, path string, body any, headers ...string) Answer {
	t.Helper()
	client := e.client()
	client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", e.HTTP))
	}}
	return send(t, client, method, strings.Replace(e.at(name), "https://", "http://", 1)+path, body, headers...)
}

// wantAddress fails unless the last wrong password is on record with the address.
func (e example) wantAddress(t testing.TB, address string) {
	t.Helper()
	if said := e.run(t, "mana", "audit", "log", "--config", e.config, "--type", "login_failed", "--json"); !strings.Contains(said, address) {
		t.Errorf("%s is not on record: %s", address, said)
	}
}

// wantEcho sends a line over a connection that is upgraded, and reads it back.
func wantEcho(t testing.TB, client *http.Client, url string, headers ...string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Transport.RoundTrip(request) // Do's body cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stream, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		t.Fatalf("the handshake answers %d", resp.StatusCode)
	}
	if _, err := io.WriteString(stream, "ping\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stream).ReadString('\n')
	if err != nil || line != "ping\n" {
		t.Errorf("the stream says %q, %v", line, err)
	}
}

// dialHTTP1 is dialTLS for a client that speaks HTTP/1.1 only.
func dialHTTP1(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	plain, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // of a throw-away edge
	return conn, conn.HandshakeContext(ctx)
}

// exampleURL is an origin of an example, without its port.
var exampleURL = regexp.MustCompile(`https://[\w.*-]*(?:mana|other)\.localhost`)

// startExample runs an example: its domain is mana.localhost, its database one of
// the test, and changes are pairs of what stands there and what is put in its place.
func startExample(t *testing.T, name string, changes ...string) example {
	t.Helper()
	raw, err := os.ReadFile("../../examples/caddyfiles/" + name + ".caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	e := example{Edge: newEdge(t)}
	e.use(pgtest.New(t).DSN)
	e.Env = append(e.Env, "MANA_CORE_SERVICE_KEY=a service key of more than thirty-two bytes")
	text := strings.NewReplacer(append(changes, "example.com", "mana.localhost", "example.org", "other.localhost")...).Replace(string(raw))
	text = strings.ReplaceAll(text, "database embedded", "database {env.DATABASE_URL}\n\t\tencryption_key {env.MANA_ENCRYPTION_KEY}")
	var lines []string
	for line := range strings.Lines(text) {
		switch option, _, _ := strings.Cut(strings.TrimSpace(line), " "); option {
		case "http_port", "email", "admin":
			continue
		case "base_url", "trusted_origins", "redirect_uri":
			line = exampleURL.ReplaceAllStringFunc(line, func(url string) string { return fmt.Sprintf("%s:%d", url, e.HTTPS) })
		}
		lines = append(lines, line)
	}
	text = strings.Replace(strings.Join(lines, ""), "{\n", fmt.Sprintf("{\n\tadmin 127.0.0.1:%d\n\thttp_port %d\n\thttps_port %d\n\tdefault_bind 127.0.0.1\n\tlocal_certs\n\tskip_install_trust\n\tpersist_config off\n",
		e.Admin, e.HTTP, e.HTTPS), 1)
	if err := os.WriteFile(e.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e.launch(t)
	behind := strings.Contains(text, "auto_https off")
	ask := func(method, path string, body any) (Answer, error) {
		if behind {
			return try(t.Context(), e.client(), method, fmt.Sprintf("http://auth.mana.localhost:%d%s", e.HTTP, path), body, "X-Forwarded-Proto", "https")
		}
		return try(t.Context(), e.client(), method, e.Auth()+path, body)
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		a, err := ask(http.MethodGet, "/health/ready", nil)
		if err == nil && a.StatusCode == http.StatusOK {
			break
		}
		select {
		case err := <-e.exited:
			e.exited <- err
			t.Fatalf("%s ended while starting: %v\n%s\n%s", name, err, text, e.log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %v, %s\n%s", name, err, a.Body, e.log)
		}
	}
	account := map[string]string{"email": "ada@mana.how", "password": password, "name": "Ada"}
	a, err := ask(http.MethodPost, "/api/v1/auth/register", account)
	if err != nil {
		t.Fatal(err)
	}
	want(t, a, http.StatusCreated)
	a, err = ask(http.MethodPost, "/api/v1/auth/login", map[string]string{"email": "ada@mana.how", "password": password})
	if err != nil {
		t.Fatal(err)
	}
	e.access = want(t, a, http.StatusOK).Text("accessToken")
	return e
}

// exampleApp is the app of the examples: it says what it is told, knows one
// domain of a customer, and echoes what is upgraded. It returns its address.
func exampleApp(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"email": r.Header.Get("X-Mana-Email")})
	})
	mux.HandleFunc("/internal/known-domain", func(w http.ResponseWriter, r *http.Request) {
		if domain := r.URL.Query().Get("domain"); domain != "customer.localhost" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, buffer, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, buffer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// exampleRPC is a gRPC service by hand: Generate fails inside its 200.
func exampleRPC(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := "0"
		if strings.HasSuffix(r.URL.Path, "/Generate") {
			status = "13" // INTERNAL
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte{0, 0, 0, 0, 0})
		w.Header().Set("Grpc-Status", status)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
