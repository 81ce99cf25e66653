package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mana.how/edge/internal/freeport"
)

const (
	// cookieSecret is the key of the sign-on cookies that the bench makes itself.
	cookieSecret = "bench: a secret of more than thirty-two bytes"
	baseURL      = "https://auth.mana.localhost"
	startTimeout = 60 * time.Second
)

// stand holds what a scenario starts; close stops all of it.
type stand struct {
	options
	root, dir string
	upstream  string // host:port of the app behind every side
	edge      *proxy // the edge that was started last
	closers   []func()
}

func (s *stand) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// startUpstream serves a small answer, the app of every side.
func (s *stand) startUpstream(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	body := []byte(`{"ok":true}`)
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/stream") {
				stream(w)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			switch r.URL.Path {
			case "/failing":
				w.WriteHeader(http.StatusBadGateway)
			case "/open":
				w.Header().Set("X-Mana-Cost", "0.001")
			}
			_, _ = w.Write(body)
		}),
	}
	go func() { _ = server.Serve(listener) }()
	s.closers = append(s.closers, func() { _ = server.Close() })
	s.upstream = listener.Addr().String()
	return nil
}

// proxy is a running Caddy of some kind.
type proxy struct {
	Address string // host:port of its site, plain HTTP
	Admin   string // host:port of Caddy's admin endpoint
	cmd     *exec.Cmd
	beside  []*exec.Cmd // processes that work with it, whose CPU time counts too
	exited  chan struct{}
	log     *bytes.Buffer
}

// rss is the resident set of the process in MiB, without its children.
func (p *proxy) rss() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// cpu is the time that the process has spent so far, in user code and in the
// kernel for it (proc(5): utime and stime, in ticks of 10 ms), without children, and
// what works beside it.
func (p *proxy) cpu() (sum time.Duration, err error) {
	for _, cmd := range append([]*exec.Cmd{p.cmd}, p.beside...) {
		spent, err := cpuOf(cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += spent
	}
	return sum, nil
}

func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("no utime in /proc/PID/stat")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

func (p *proxy) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// startEdge runs mana-edge. site is the body of its one site; the API is
// there too, under the host of baseURL, and more sites as they are.
func (s *stand) startEdge(ctx context.Context, site string, more ...string) (*proxy, error) {
	app := fmt.Sprintf(`
	mana {
		database embedded %s
		base_url %s
		cookie_domain .mana.localhost
		trusted_origins https://*.mana.localhost
		prices {
			bench.token 0.002 per 1000 tokens
		}
	}`, s.databaseDir(), baseURL)
	edge, err := s.startProxy(ctx, s.edgeBinary(), app, "http://auth.mana.localhost:PORT {\n\tbind 127.0.0.1\n\tmana_api\n}\n"+s.plainSite()+strings.Join(more, ""), site)
	s.edge = edge
	return edge, err
}

func (s *stand) databaseDir() string { return filepath.Join(s.dir, "postgres") }

func (s *stand) edgeBinary() string { return filepath.Join(s.root, "bin", "mana-edge") }

// startProxy runs a Caddy binary with these global options and sites; the main
// site listens on a free port for every host not named elsewhere.
func (s *stand) startProxy(ctx context.Context, binary, global, sites, site string) (*proxy, error) {
	port, err := freeport.Get()
	if err != nil {
		return nil, err
	}
	admin, err := freeport.Get()
	if err != nil {
		return nil, err
	}
	// Client addresses come from X-Forwarded-For, so that one machine can stand for many.
	config := fmt.Sprintf("{\n\tadmin 127.0.0.1:%d\n\tauto_https off\n\tpersist_config off\n\tservers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}%s\n}\n%shttp://:PORT {\n\tbind 127.0.0.1\n\troute {\n\t\t%s\n\t}\n}\n", admin, global, sites, site)
	config = strings.ReplaceAll(config, "PORT", strconv.Itoa(port))
	name := filepath.Join(s.dir, fmt.Sprintf("Caddyfile.%d", port))
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		return nil, err
	}

	p := &proxy{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Admin: net.JoinHostPort("127.0.0.1", strconv.Itoa(admin)), exited: make(chan struct{}), log: new(bytes.Buffer)}
	p.cmd = exec.Command(binary, "run", "--config", name, "--adapter", "caddyfile")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(),
		"XDG_DATA_HOME="+filepath.Join(s.dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(s.dir, "config"),
		"BETTER_AUTH_SECRET="+cookieSecret, "MANA_CORE_SERVICE_KEY="+serviceKey)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	s.closers = append(s.closers, p.stop)
	return p, p.ready(ctx, strings.Contains(sites, "mana_api"))
}

// ready waits for the proxy: with the API for its readiness, else for any answer.
func (p *proxy) ready(ctx context.Context, api bool) error {
	url := "http://" + p.Address + "/"
	if api {
		url += "health/ready"
	}
	client := &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(5 * time.Millisecond) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if api {
			request.Host = "auth.mana.localhost"
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if !api || response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended while starting:\n%s", p.cmd.Path, p.log)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w", p.cmd.Path, err)
		}
	}
}

// buildPeer compiles a module of bench/peers and returns the binary.
func (s *stand) buildPeer(ctx context.Context, name string) (string, error) {
	binary := filepath.Join(s.root, "bin", "peer-"+name)
	cmd := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(s.root, "bench", "peers", name),
		"-tags", "nobadger,nomysql,nopgx", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the peer %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// contestant is a side and the load that measures it.
type contestant struct {
	name string
	load runner
}

// runner loads something for a time and reports what it did.
type runner interface {
	Run(context.Context, time.Duration) (Sample, error)
}

// contest runs the contestants in turn, round by round, in alternating order,
// after a round each to warm up.
func (s *stand) contest(ctx context.Context, contestants ...contestant) ([]side, error) {
	sides := make([]side, len(contestants))
	for i, c := range contestants {
		sides[i].name = c.name
		if _, err := c.load.Run(ctx, min(s.round, 2*time.Second)); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for round := range s.rounds {
		for k := range contestants {
			i := k
			if round%2 == 1 {
				i = len(contestants) - 1 - k
			}
			sample, err := contestants[i].load.Run(ctx, s.round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contestants[i].name, err)
			}
			sides[i].samples = append(sides[i].samples, sample)
		}
	}
	if s.profile == "" {
		return sides, nil
	}
	for _, c := range contestants {
		log.Printf("profiling: %s", c.name)
		if err := s.keepProfile(ctx, c); err != nil {
			return nil, fmt.Errorf("%s: profile: %w", c.name, err)
		}
	}
	return sides, nil
}

// keepProfile loads a side once more, and keeps what the edge's processor did
// meanwhile in a file named after the side.
func (s *stand) keepProfile(ctx context.Context, c contestant) error {
	const seconds = 4
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.edge.Admin, seconds), nil)
	if err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := c.load.Run(ctx, (seconds+1)*time.Second)
		loaded <- err
	}()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return errors.Join(err, <-loaded)
	}
	defer response.Body.Close()
	profile, err := io.ReadAll(response.Body)
	if err := errors.Join(err, <-loaded); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the admin endpoint answers %s: %.200s", response.Status, profile)
	}
	if err := os.MkdirAll(s.profile, 0o755); err != nil {
		return err
	}
	name := strings.Trim(fileNames.ReplaceAllString(strings.ToLower(c.name), "-"), "-")
	return os.WriteFile(filepath.Join(s.profile, name+".pprof"), profile, 0o644)
}

// fileNames are the runs of characters that a file's name should not have.
var fileNames = regexp.MustCompile(`[^a-z0-9]+`)
