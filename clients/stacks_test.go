package clients_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
)

// stack is an app of ../examples.
type stack struct {
	name, dir string     // dir is that of the app
	prepare   [][]string // what is run before it, once
	command   []string
	env       []string
	lacks     []string // routes that it does not have
}

// stacks are those that need nothing but their language.
var stacks = []stack{
	{name: "go", dir: "../examples/go", command: []string{"go", "run", "."}},
	{name: "node", dir: "../examples/node", command: []string{"node", "app.mjs"}, lacks: []string{"/me", "/events", "/upload", "/socket", "refund"}},
	{name: "python", dir: "../examples/python", command: []string{"python3", "app.py"}, lacks: []string{"/socket"}},
}

// Each example is an app that works: it knows its user, takes their credits until
// there are none left, and answers nobody who comes around the gate.
func TestExamplesWorkBehindTheEdge(t *testing.T) {
	e := startEdge(t)
	for _, s := range stacks {
		t.Run(s.name, func(t *testing.T) {
			e.start(t, s)
			e.drive(t, s)
		})
	}
}

// start runs an app behind the gate until the test is over.
func (e edge) start(t *testing.T, s stack) {
	t.Helper()
	command := s.command
	if command[0] == "go" {
		app := filepath.Join(t.TempDir(), "app")
		run(t, s.dir, nil, "go", "build", "-o", app, ".")
		command = []string{app}
	}
	for _, step := range s.prepare {
		run(t, s.dir, e.environment(), step[0], step[1:]...)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append(append(os.Environ(), e.environment()...), "PYTHONDONTWRITEBYTECODE=1", "NEXT_TELEMETRY_DISABLED=1", "NODE_ENV=production")
	cmd.Env = append(cmd.Env, s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts ends with it
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the app said: %s", said.String())
		}
	})
	edgetest.Eventually(t, "the app listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+e.appPort)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// drive uses an app as a client would, through the gate and around it.
func (e edge) drive(t *testing.T, s stack) {
	u := e.newUser(t, s.name)
	bearer := []string{"Authorization", "Bearer " + u.accessToken}
	want := func(method, target string, status int, text string, headers ...string) {
		t.Helper()
		if got, body := try(t.Context(), method, target, nil, headers...); got != status || !strings.Contains(body, text) {
			t.Errorf("%s %s: %d %q, want %d %q", method, target, got, body, status, text)
		}
	}
	has := func(route string) bool { return !slices.Contains(s.lacks, route) }

	want("GET", e.site+"/", 200, "Hello, "+u.email+"!", bearer...)
	want("GET", e.site+"/", 401, "No token provided")
	want("GET", "http://127.0.0.1:"+e.appPort+"/", 401, "", append(bearer, "X-Mana-User-Id", u.id, "X-Mana-Email", u.email)...)
	if has("/me") {
		if me := call[struct{ Email, Name string }](t, "GET", e.site+"/me", nil, bearer...); me.Email != u.email || me.Name != "Zoë 100%" {
			t.Errorf("it takes its user for %+v", me)
		}
	}

	// Ten credits are five answers; one that failed, and one that was asked for twice, cost no more.
	if has("refund") {
		want("POST", e.site+"/answer?about=everything", 500, "nothing to pay", bearer...)
		if left := e.balance(t, u); left != 10 {
			t.Errorf("after a refund there are %v credits", left)
		}
	}
	for range 2 {
		want("POST", e.site+"/answer", 200, "42", append(bearer, "Idempotency-Key", s.name+"-1")...)
	}
	for range 4 {
		want("POST", e.site+"/answer", 200, "42", bearer...)
	}
	want("POST", e.site+"/answer", 402, "costs 2 credits, you have 0", bearer...)

	if has("/events") {
		e.driveEvents(t, u)
	}
	if has("/upload") {
		e.driveUpload(t, u)
	}
	if has("/socket") {
		e.driveSocket(t, u)
	}
}

// request is one of the user through the gate.
func (e edge) request(t *testing.T, method, path string, u user) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.site+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+u.accessToken)
	return req
}

// driveEvents wants three events, each when it happens and not all at the end.
func (e edge) driveEvents(t *testing.T, u user) {
	t.Helper()
	resp, err := http.DefaultClient.Do(e.request(t, http.MethodGet, "/events", u))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if media := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(media, "text/event-stream") {
		t.Fatalf("events: %d, %s", resp.StatusCode, media)
	}
	var came []time.Time
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if lines.Text() == "data: "+u.email {
			came = append(came, time.Now())
		}
	}
	if len(came) != 3 {
		t.Fatalf("%d events", len(came))
	}
	if took := came[2].Sub(came[0]); took < 200*time.Millisecond { // of the 400 that lie between them
		t.Errorf("the events came within %v, as if they had been kept until the end", took)
	}
}

// driveUpload sends more than frameworks take without being told.
func (e edge) driveUpload(t *testing.T, u user) {
	t.Helper()
	const size = 12 << 20
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.site+"/upload", bytes.NewReader(make([]byte, size)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+u.accessToken)
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var took struct{ Bytes int }
	if err := json.NewDecoder(resp.Body).Decode(&took); err != nil || resp.StatusCode != 200 || took.Bytes != size {
		t.Errorf("upload: %d, %d bytes, %v", resp.StatusCode, took.Bytes, err)
	}
}

// driveSocket talks by WebSocket, as a browser does: with a ticket, for it cannot set headers.
func (e edge) driveSocket(t *testing.T, u user) {
	t.Helper()
	ticket := call[struct{ Ticket string }](t, http.MethodPost, e.base+"/api/v1/auth/ticket", map[string]any{"url": e.site + "/socket"}, "Authorization", "Bearer "+u.accessToken).Ticket
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.site, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET /socket?ticket=%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		ticket, strings.TrimPrefix(e.site, "http://"), "AAAAAAAAAAAAAAAAAAAAAA==")
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("WebSocket: %v, %v", resp, err)
	}
	wantFrame(t, reader, "Hello, "+u.email+"!")
	// A text of one frame, masked with zeroes (RFC 6455, section 5.2).
	if _, err := conn.Write(append([]byte{0x81, 0x80 | 4, 0, 0, 0, 0}, "ping"...)); err != nil {
		t.Fatal(err)
	}
	wantFrame(t, reader, "ping")
}

// wantFrame reads a short text of one frame.
func wantFrame(t *testing.T, from *bufio.Reader, text string) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(from, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, head[1])
	if _, err := io.ReadFull(from, body); err != nil {
		t.Fatal(err)
	}
	if head[0] != 0x81 || string(body) != text {
		t.Errorf("a frame %x %q, want %q", head, body, text)
	}
}
