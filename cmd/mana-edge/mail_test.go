package main_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// The mail server is away for an hour and an edge is killed behind a commit: requests do not
// wait for it, and every mail leaves, once where nobody died.
func TestMailOutlastsItsServerAndAnEdge(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	port := freeport.Port(t)
	options := fmt.Sprintf("smtp {\n host 127.0.0.1\n port %d\n from \"Mana <edge@mana.how>\"\n}\nproof_of_work off", port)
	first := newEdge(t)
	first.use(db.DSN)
	first.Options = options
	first.start(t)
	second := newEdge(t)
	second.use(db.DSN)
	second.BaseURL, second.Options = first.Auth(), options
	second.start(t)

	var written []string
	enrol := func(e *Edge, who string) {
		t.Helper()
		email := who + "@mana.how"
		register(t, e, email, fmt.Sprintf("192.0.2.%d", 10+len(written)))
		written = append(written, email)
	}
	for i := range 12 {
		enrol([]*Edge{first, second}[i%2], fmt.Sprintf("early%d", i))
	}
	failed := func() int {
		t.Helper()
		row, err := dbscope.Row[struct{ N int }](t.Context(), db.Pool, dbscope.System(), `SELECT count(*)::int AS n FROM mana.outbox WHERE attempts > 0 AND sent_at IS NULL`)
		if err != nil {
			t.Fatal(err)
		}
		return row.N
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(patience); failed() < 12; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 12 mails were tried", failed())
		}
	}
	// An hour goes by.
	exec(`UPDATE mana.outbox SET created_at = created_at - interval '1 hour', give_up_at = give_up_at - interval '1 hour'`)
	enrol(second, "late")
	enrol(first, "last")
	_ = first.edge.Process.Kill() // behind the commit, before the mail
	first.exited <- <-first.exited

	box := startMailServer(t, port)
	exec(`UPDATE mana.outbox SET due_at = now(), leased_until = NULL WHERE sent_at IS NULL`) // what the dead edge was at, too
	for deadline := time.Now().Add(60 * time.Second); len(box.to()) < len(written); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d mails came", len(box.to()), len(written))
		}
	}
	got := box.to()
	for _, email := range written {
		if n := got[email]; n == 0 || n > 1 && email != "last@mana.how" {
			t.Errorf("%s got %d mails", email, n)
		}
	}
	if len(got) != len(written) {
		t.Errorf("mails to %v", slices.Sorted(maps.Keys(got)))
	}

	// With a server there is no waiting for the next look at the box.
	want(t, send(t, second.client(), http.MethodPost, second.Auth()+"/api/v1/auth/forgot-password", map[string]string{"email": "late@mana.how"}), http.StatusOK)
	for deadline := time.Now().Add(patience); box.to()["late@mana.how"] < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no mail with the link to another password")
		}
	}
}

// mailServer is an SMTP server that counts what came for whom.
type mailServer struct {
	mu  sync.Mutex
	all map[string]int
}

func (s *mailServer) to() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.all)
}

// NewSession implements [smtp.Backend].
func (s *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &mailSession{server: s}, nil
}

type mailSession struct {
	server *mailServer
	to     []string
}

func (*mailSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, strings.ToLower(to))
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	for _, to := range s.to {
		s.server.all[to]++
	}
	return nil
}

func (s *mailSession) Reset()      { s.to = nil }
func (*mailSession) Logout() error { return nil }

func startMailServer(t testing.TB, port int) *mailServer {
	t.Helper()
	s := &mailServer{all: make(map[string]int)}
	front := smtp.NewServer(s)
	front.Domain = "mx.mana.how"
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = front.Serve(listener) }()
	t.Cleanup(func() { _ = front.Close() })
	return s
}
