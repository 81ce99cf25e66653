package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/pgtest"
)

// wire is a TCP relay in front of PostgreSQL that can be cut.
type wire struct {
	net.Listener
	network, target string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

func newWire(t testing.TB, dsn string) (*wire, string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: listener, open: make(map[net.Conn]struct{})}
	w.network, w.target = socketOf(cfg.Host, cfg.Port)
	t.Cleanup(func() {
		_ = listener.Close()
		w.set(true)
	})
	go w.serve()
	through := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password),
		Host: listener.Addr().String(), Path: "/" + cfg.Database, RawQuery: "sslmode=disable"}
	return w, through.String()
}

func socketOf(host string, port uint16) (network, address string) {
	if strings.HasPrefix(host, "/") {
		return "unix", fmt.Sprintf("%s/.s.PGSQL.%d", host, port)
	}
	return "tcp", net.JoinHostPort(host, fmt.Sprint(port))
}

func (w *wire) serve() {
	for {
		client, err := w.Accept()
		if err != nil {
			return
		}
		go w.relay(client)
	}
}

func (w *wire) relay(client net.Conn) {
	defer client.Close()
	w.mu.Lock()
	if w.cut {
		w.mu.Unlock()
		return
	}
	server, err := net.Dial(w.network, w.target)
	if err != nil {
		w.mu.Unlock()
		return
	}
	w.open[client], w.open[server] = struct{}{}, struct{}{}
	w.mu.Unlock()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = server.Close()
	w.mu.Lock()
	delete(w.open, client)
	delete(w.open, server)
	w.mu.Unlock()
}

// set cuts the wire, with every connection over it, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.open {
			_ = c.Close()
		}
	}
}

// PostgreSQL goes away for ten seconds: who is signed in goes on, what needs
// the database says so at once and in words that keep clients signed in, and
// everything heals by itself.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	w, dsn := newWire(t, db.DSN)
	e := startEdgeOn(t, dsn)
	register(t, e, "edsger@mana.how", "192.0.2.9")
	access, refresh := login(t, e, "edsger@mana.how", "192.0.2.9")
	browser := e.client()
	signIn(t, e, browser, "edsger@mana.how")
	whoami := e.AppURL() + "/api/whoami"
	want(t, send(t, browser, http.MethodGet, whoami, nil), http.StatusOK)

	w.set(true)
	away := time.Now()
	for time.Since(away) < 10*time.Second {
		want(t, send(t, e.client(), http.MethodGet, whoami, nil, "Authorization", "Bearer "+access), http.StatusOK)
		want(t, send(t, browser, http.MethodGet, whoami, nil), http.StatusOK)
		want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/health", nil), http.StatusOK)
		ready := want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/health/ready", nil), http.StatusServiceUnavailable)
		checks, _ := ready.JSON()["checks"].(map[string]any)
		database, _ := checks["database"].(map[string]any)
		if database["status"] != "error" {
			t.Errorf("ready says %s", ready.Body)
		}
		for path, body := range map[string]map[string]string{
			"refresh": {"refreshToken": refresh},
			"login":   {"email": "edsger@mana.how", "password": password},
		} {
			asked := time.Now()
			a := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/"+path, body, "X-Forwarded-For", "192.0.2.10"), http.StatusServiceUnavailable)
			if took := time.Since(asked); took > 5*time.Second {
				t.Errorf("%s answered after %v", path, took)
			}
			if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Text("message"), "connection") {
				t.Errorf("%s: Retry-After %q, message %q", path, a.Header.Get("Retry-After"), a.Text("message"))
			}
		}
		time.Sleep(time.Second)
	}
	w.set(false)

	healed := time.Now()
	for {
		a := send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh})
		if a.StatusCode == http.StatusOK {
			refresh = a.Text("refreshToken")
			break
		}
		if time.Since(healed) > 15*time.Second {
			t.Fatalf("not healed after 15 s: %d: %s", a.StatusCode, a.Body)
		}
		time.Sleep(100 * time.Millisecond)
	}
	// Revocations travel again.
	time.Sleep(3 * time.Second)
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": refresh}), http.StatusOK)
	refusedWithin(t, time.Second, e.client(), whoami, "Authorization", "Bearer "+access)
}
