package main_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

const (
	tags         = "nobadger,nomysql,nopgx"
	startTimeout = 60 * time.Second // covers initdb on a loaded machine
	stopTimeout  = 30 * time.Second
)

// bin is where the programs under test are built, once for the package.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mana-edge-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := pgtest.Main(m)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build compiles mana-edge and demo-app the way the tests themselves are
// compiled, so that one build cache serves both.
var build = sync.OnceValue(func() error {
	args := []string{"build", "-tags", tags, "-o", bin + "/"}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, ".", "../demo-app")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
})

// Edge is a running mana-edge with the demo app behind its gate, as
// Caddyfile.example has them, on free ports and in a data directory of its own.
type Edge struct {
	HTTPS, HTTP, Admin, App int // ports on 127.0.0.1

	Database string // argument of the database option
	Options  string // more options of the mana block
	Site     string // directives of the apps, beside the gate
	Env      []string
	BaseURL  string // of the cluster; that of this edge where empty
	Metrics  int    // port that Prometheus reads; none where 0
	Binary   string // the program; that of this tree where empty

	dir    string // all that the processes write
	config string // the Caddyfile
	log    *logBuffer
	edge   *exec.Cmd
	exited chan error
}

// Auth, AppURL and Notes are the origins of the three sites.
func (e *Edge) Auth() string   { return fmt.Sprintf("https://auth.mana.localhost:%d", e.HTTPS) }
func (e *Edge) AppURL() string { return fmt.Sprintf("https://app.mana.localhost:%d", e.HTTPS) }
func (e *Edge) Notes() string  { return fmt.Sprintf("https://notes.mana.localhost:%d", e.HTTPS) }

// startEdge starts both programs, waits until the edge is ready and stops them
// at the end of the test, which fails if anything of theirs is left running.
func startEdge(t testing.TB) *Edge {
	t.Helper()
	e := newEdge(t)
	e.start(t)
	return e
}

// startEdgeOn is startEdge on the database of a URL.
func startEdgeOn(t testing.TB, dsn string) *Edge {
	t.Helper()
	e := newEdge(t)
	e.use(dsn)
	e.start(t)
	return e
}

// joinEdge starts one more edge of the same cluster: same base URL, same database.
func joinEdge(t testing.TB, first *Edge, dsn string) *Edge {
	t.Helper()
	e := newEdge(t)
	e.BaseURL = first.Auth()
	e.use(dsn)
	e.start(t)
	return e
}

// use makes the database of a URL the edge's.
func (e *Edge) use(dsn string) {
	e.Database = "{env.DATABASE_URL}"
	e.Env = []string{"DATABASE_URL=" + dsn, "MANA_ENCRYPTION_KEY=the encryption key of a test, long enough"}
}

// newEdge prepares an edge with an embedded database of its own, and starts the demo app.
func newEdge(t testing.TB) *Edge {
	t.Helper()
	if err := build(); err != nil {
		t.Fatalf("build: %v", err)
	}
	e := &Edge{HTTPS: freeport.Port(t), HTTP: freeport.Port(t), Admin: freeport.Port(t), App: freeport.Port(t), log: new(logBuffer)}

	// Not t.TempDir: the embedded server may run as another user, who must reach it.
	dir, err := os.MkdirTemp("", "mana-edge-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	e.dir, e.config = dir, filepath.Join(dir, "Caddyfile")
	e.Database = "embedded " + filepath.Join(dir, "postgres")
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the data: %v", err)
		}
	})

	demo := exec.Command(filepath.Join(bin, "demo-app"), "-listen", fmt.Sprintf("127.0.0.1:%d", e.App), "-auth", e.Auth())
	demo.Stdout, demo.Stderr = e.log, e.log
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGTERM)
		_ = demo.Wait()
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the processes:\n%s", e.log)
		}
	})
	return e
}

// writeConfig writes the Caddyfile. app is added to the options of the mana
// block, site to the directives of the apps.
func (e *Edge) writeConfig(t testing.TB, app, site string) {
	t.Helper()
	base := e.BaseURL
	if base == "" {
		base = e.Auth()
	}
	text := fmt.Sprintf(`{
	admin 127.0.0.1:%[3]d
	http_port %[2]d
	https_port %[1]d
	local_certs
	skip_install_trust
	storage_clean_interval off
	grace_period 3s
	mana {
		database %[6]s
		base_url %[8]s
		cookie_domain .mana.localhost
		trusted_origins https://*.mana.localhost:%[1]d
		%[5]s
	}
	servers {
		trusted_proxies static 127.0.0.1/32
		trusted_proxies_strict
	}
}
https://auth.mana.localhost:%[1]d {
	bind 127.0.0.1
	mana_api
}
https://app.mana.localhost:%[1]d, https://notes.mana.localhost:%[1]d {
	bind 127.0.0.1
	%[7]s
	mana_auth
	reverse_proxy 127.0.0.1:%[4]d
}
`, e.HTTPS, e.HTTP, e.Admin, e.App, app, e.Database, site, base)
	if e.Metrics != 0 {
		text = strings.Replace(text, "\tmana {", "\tmetrics\n\tmana {", 1) +
			fmt.Sprintf("http://127.0.0.1:%d {\n\tbind 127.0.0.1\n\tmetrics\n}\n", e.Metrics)
	}
	if err := os.WriteFile(e.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs the edge and returns once /health/ready answers 200. The end of
// the test stops it.
func (e *Edge) start(t testing.TB) {
	t.Helper()
	e.writeConfig(t, e.Options, e.Site)
	e.launch(t)
	e.awaitReady(t)
}

// launch runs the edge on the config that is written. The end of the test stops it.
func (e *Edge) launch(t testing.TB) {
	t.Helper()
	e.edge = e.command(context.Background(), "run", "--config", e.config, "--adapter", "caddyfile")
	e.edge.Stdout, e.edge.Stderr = e.log, e.log
	if err := e.edge.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.stop(t) })
	e.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan<- error) { exited <- cmd.Wait() }(e.edge, e.exited)
}

// awaitReady returns once /health/ready answers 200 and every site has its
// certificate: Caddy issues them one by one, after it has begun to listen.
func (e *Edge) awaitReady(t testing.TB) {
	t.Helper()
	client := e.client()
	defer client.CloseIdleConnections()
	deadline := time.Now().Add(startTimeout)
	for _, url := range []string{e.Auth() + "/health/ready", e.AppURL() + "/", e.Notes() + "/"} {
		for {
			a, err := try(t.Context(), client, http.MethodGet, url, nil)
			if err == nil && a.StatusCode < http.StatusInternalServerError {
				break
			}
			select {
			case err := <-e.exited:
				e.exited <- err
				t.Fatalf("mana-edge ended while starting: %v\n%s", err, e.log)
			case <-time.After(50 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not ready after %v: %v, %s\n%s", url, startTimeout, err, a.Body, e.log)
			}
		}
	}
}

// stop ends the edge politely and checks that nothing of it goes on.
func (e *Edge) stop(t testing.TB) {
	t.Helper()
	if err := e.edge.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("stop: %v", err)
	}
	select {
	case <-e.exited:
	case <-time.After(stopTimeout):
		t.Errorf("mana-edge did not stop within %v", stopTimeout)
		_ = e.edge.Process.Signal(syscall.SIGABRT) // the log shows what it waited for
		<-e.exited
	}
	e.exited <- nil // for who stops it again
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := e.leftRunning(t)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("still running after the edge stopped: %v", left)
			return
		}
	}
}

// leftRunning lists the processes, the demo app aside, that name the test's directory.
func (e *Edge) leftRunning(t testing.TB) []string {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, name := range commands {
		text, err := os.ReadFile(name)
		if err == nil && bytes.Contains(text, []byte(e.dir)) {
			left = append(left, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	return left
}

// command prepares mana-edge with these arguments and the environment of the test.
func (e *Edge) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, cmp.Or(e.Binary, filepath.Join(bin, "mana-edge")), args...)
	cmd.Dir = e.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + e.dir,
		"XDG_DATA_HOME=" + filepath.Join(e.dir, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(e.dir, "config"),
	}
	if dir := os.Getenv("MANA_POSTGRES_BIN"); dir != "" {
		cmd.Env = append(cmd.Env, "MANA_POSTGRES_BIN="+dir)
	}
	cmd.Env = append(cmd.Env, e.Env...)
	return cmd
}

// run runs mana-edge to its end and returns what it printed.
func (e *Edge) run(t testing.TB, args ...string) string {
	t.Helper()
	cmd := e.command(t.Context(), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("mana-edge %s: %v\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// reload hands the current Caddyfile to the running edge.
func (e *Edge) reload(t testing.TB) {
	t.Helper()
	for try := 1; ; try++ {
		cmd := e.command(t.Context(), "reload", "--config", e.config, "--adapter", "caddyfile", "--address", fmt.Sprintf("127.0.0.1:%d", e.Admin))
		out, err := cmd.CombinedOutput()
		if err == nil {
			return
		}
		if try == loadTries || !bytes.Contains(out, []byte("EOF")) && !bytes.Contains(out, []byte("connection reset")) {
			t.Fatalf("reload: %v\n%s", err, out)
		}
	}
}

// loadTries is how often a config is handed over. Each load replaces the
// listener of the admin endpoint, and a connection that nobody had accepted
// from the one before is lost with it, unread.
const loadTries = 3

// adminClient keeps no connection: each reload ends those of the admin endpoint.
var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// client is a browser of its own: cookies, no redirects followed, every name
// under .localhost on this machine.
func (e *Edge) client() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{
		Jar:     jar,
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext:       dial,
			DialTLSContext:    dialTLS,
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial leads every name to this machine.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// dialTLS connects once more where the connection is cut before it carries
// anything: the kernel does so with those that an old listener has not accepted
// when a reload closes it (docs/operations.md, "Reloading").
func dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		plain, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, &tls.Config{
			ServerName: host, InsecureSkipVerify: true, // the internal authority of a throw-away edge
			NextProtos: []string{"h2", "http/1.1"},
		})
		err = conn.HandshakeContext(ctx)
		if err == nil {
			return conn, nil
		}
		plain.Close()
		if try == 3 || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
}

// Answer is a response with its body read.
type Answer struct {
	*http.Response
	Body []byte
}

// JSON returns the body as an object, or nil.
func (a Answer) JSON() map[string]any {
	var object map[string]any
	_ = json.Unmarshal(a.Body, &object)
	return object
}

// Text returns a member of the body that is a string, or "".
func (a Answer) Text(member string) string {
	text, _ := a.JSON()[member].(string)
	return text
}

// send makes one request. body is sent as JSON unless nil; headers are pairs.
func send(t testing.TB, client *http.Client, method, url string, body any, headers ...string) Answer {
	t.Helper()
	a, err := try(t.Context(), client, method, url, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// try is send for goroutines, which may not end the test, and for edges that may be gone.
func try(ctx context.Context, client *http.Client, method, url string, body any, headers ...string) (Answer, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return Answer{}, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return Answer{Response: response, Body: text}, err
}

// want fails the test unless the answer has this status.
func want(t testing.TB, a Answer, status int) Answer {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", a.Request.Method, a.Request.URL, a.StatusCode, status, a.Body)
	}
	return a
}

// logBuffer collects what the processes print.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
