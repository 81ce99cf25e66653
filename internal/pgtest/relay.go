package pgtest

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Relay is a TCP relay in front of a server, which can be cut as if the server
// were away.
type Relay struct {
	network, target string

	mu   sync.Mutex
	cut  bool
	mute bool
	lost bool
	open map[net.Conn]struct{}
}

// NewRelay starts a relay to the server of a DSN and returns the DSN through
// it. It ends with t.
func NewRelay(t testing.TB, dsn string) (r *Relay, through string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r = &Relay{network: "tcp", target: net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)), open: make(map[net.Conn]struct{})}
	if strings.HasPrefix(cfg.Host, "/") {
		r.network, r.target = "unix", fmt.Sprintf("%s/.s.PGSQL.%d", cfg.Host, cfg.Port)
	}
	t.Cleanup(func() {
		listener.Close()
		r.Cut(true)
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.relay(client)
		}
	}()
	u := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password),
		Host: listener.Addr().String(), Path: "/" + cfg.Database, RawQuery: "sslmode=disable"}
	return r, u.String()
}

func (r *Relay) relay(client net.Conn) {
	defer client.Close()
	server, ok := r.dial(client)
	if !ok {
		return
	}
	go func() {
		_, _ = io.Copy(lossy{r, server}, client)
		server.Close()
	}()
	_, _ = io.Copy(listener{r, lossy{r, client}}, server)
	server.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, client)
	delete(r.open, server)
}

func (r *Relay) dial(client net.Conn) (server net.Conn, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		return nil, false
	}
	server, err := net.Dial(r.network, r.target) //nolint:noctx // the server is local
	if err != nil {
		return nil, false
	}
	r.open[client], r.open[server] = struct{}{}, struct{}{}
	return server, true
}

// Mute makes the server's answers get lost, and the connections with them: what
// reaches the server is done, and nobody hears of it.
func (r *Relay) Mute(mute bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mute = mute
}

// listener is a client that hears nothing while the relay is mute.
type listener struct {
	*Relay
	net.Conn
}

func (l listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	mute := l.mute
	l.mu.Unlock()
	if mute {
		return 0, net.ErrClosed
	}
	return l.Conn.Write(p)
}

// Silence makes what either side sends get lost, as a firewall does that drops
// packets: the connections stay open, and nobody is told.
func (r *Relay) Silence(silent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = silent
}

// lossy is a side of a connection that nothing reaches while the relay is
// silent.
type lossy struct {
	*Relay
	net.Conn
}

func (l lossy) Write(p []byte) (int, error) {
	l.mu.Lock()
	lost := l.lost
	l.mu.Unlock()
	if lost {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

// Cut cuts the relay, with every connection over it, or mends it.
func (r *Relay) Cut(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	if cut {
		for conn := range r.open {
			conn.Close()
		}
	}
}
