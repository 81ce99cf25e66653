//go:build cluster

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/localpg"
)

// patroni is a PostgreSQL of two servers that Patroni and etcd keep: one is written
// to, the other follows it synchronously and takes over.
type patroni struct {
	dir   string
	nodes []*patroniNode
	owner *syscall.Credential // nil where the tests do not run as root
}

type patroniNode struct {
	name       string
	port, rest int
	data       string
	cmd        *exec.Cmd
	log        *logBuffer
}

const patroniPassword = "a-password-of-the-tests"

// startPatroni starts etcd and both servers, and makes the database of the edges.
func startPatroni(t *testing.T) *patroni {
	t.Helper()
	dir, err := os.MkdirTemp("", "mana-patroni-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &patroni{dir: dir}
	if os.Getuid() == 0 { // PostgreSQL does not run as root
		account, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		p.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	peer, client := "http://"+freeport.Address(t), freeport.Address(t)
	p.run(t, new(logBuffer), "etcd", "--name", "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--initial-cluster", "etcd="+peer, "--enable-v2",
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client)
	tool, err := localpg.Tool(t.Context(), "pg_controldata", 0) // the others lie beside it
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a", "b"} {
		n := &patroniNode{name: name, port: freeport.Port(t), rest: freeport.Port(t), data: filepath.Join(dir, name), log: new(logBuffer)}
		file := filepath.Join(dir, name+".yml")
		if err := os.WriteFile(file, []byte(n.config(dir, client, filepath.Dir(tool))), 0o644); err != nil {
			t.Fatal(err)
		}
		n.cmd = p.run(t, n.log, "patroni", file)
		p.nodes = append(p.nodes, n)
		if i == 0 {
			p.leader(t) // it makes the cluster; the other one copies it
		}
	}
	p.following(t)
	asSuperuser(t, p.dsn("postgres", "postgres"), `CREATE ROLE mana LOGIN CREATEROLE PASSWORD '`+patroniPassword+`'`, `CREATE DATABASE mana OWNER mana`)
	return p
}

func (n *patroniNode) config(dir, etcd, binaries string) string {
	return fmt.Sprintf(`scope: mana
name: %[1]s
restapi: {listen: "127.0.0.1:%[2]d", connect_address: "127.0.0.1:%[2]d"}
etcd3: {host: "%[3]s"}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    synchronous_mode: true
    postgresql:
      parameters: {max_connections: 100, fsync: "off"}
  initdb: [{encoding: UTF8}, data-checksums]
  pg_hba: ["host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"]
postgresql:
  listen: 127.0.0.1:%[4]d
  connect_address: 127.0.0.1:%[4]d
  data_dir: %[5]s
  bin_dir: %[6]s
  pgpass: %[5]s.pgpass
  authentication:
    superuser: {username: postgres, password: %[7]s}
    replication: {username: replicator, password: %[7]s}
  parameters: {unix_socket_directories: %[8]s}
`, n.name, n.rest, etcd, n.port, n.data, binaries, patroniPassword, dir)
}

// run starts a program as the owner of the data until the end of t.
func (p *patroni) run(t *testing.T, log *logBuffer, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.owner}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
		if t.Failed() {
			t.Logf("%s %v:\n%s", name, args, log)
		}
	})
	return cmd
}

// dsn leads to whichever server is written to.
func (p *patroni) dsn(role, database string) string {
	hosts := make([]string, len(p.nodes))
	for i, n := range p.nodes {
		hosts[i] = fmt.Sprintf("127.0.0.1:%d", n.port)
	}
	return "postgres://" + role + ":" + url.QueryEscape(patroniPassword) + "@" + strings.Join(hosts, ",") + "/" + database + "?target_session_attrs=read-write&sslmode=disable&connect_timeout=2"
}

// role is what Patroni says of a server: leader, sync_standby, replica or nothing.
func (n *patroniNode) role(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/cluster", n.rest), nil)
	if err != nil {
		return ""
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var cluster struct {
		Members []struct{ Name, Role, State string }
	}
	if json.NewDecoder(resp.Body).Decode(&cluster) != nil {
		return ""
	}
	for _, m := range cluster.Members {
		if m.Name == n.name && (m.State == "running" || m.State == "streaming") {
			return m.Role
		}
	}
	return ""
}

func (p *patroni) await(t *testing.T, what string, ok func(*patroniNode) bool) *patroniNode {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		for _, n := range p.nodes {
			if ok(n) {
				return n
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s in a minute", what)
		}
	}
}

func (p *patroni) leader(t *testing.T) *patroniNode {
	t.Helper()
	return p.await(t, "leader", func(n *patroniNode) bool { return n.role(t.Context()) == "leader" })
}

func (p *patroni) following(t *testing.T) *patroniNode {
	t.Helper()
	return p.await(t, "synchronous standby", func(n *patroniNode) bool { return n.role(t.Context()) == "sync_standby" })
}

// kill ends Patroni and PostgreSQL of a server at once, as a machine that is gone.
func (n *patroniNode) kill(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func asSuperuser(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// The machine that is written to is gone. Who is signed in goes on without one
// refusal, the other server takes over, every charge counts once, and what ends on
// one edge ends on the other.
func TestDatabaseFailsOver(t *testing.T) {
	cluster := startPatroni(t)
	dsn := cluster.dsn("mana", "mana")
	first := startEdgeOn(t, dsn)
	second := joinEdge(t, first, dsn)
	register(t, first, "grace@mana.how", "192.0.2.30")
	first.run(t, "mana", "credits", "grant", "--user", "grace@mana.how", "--amount", "100000", "--database", dsn)
	access, refresh := login(t, first, "grace@mana.how", "192.0.2.30")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var passed, charged, refused atomic.Int64
	for i, e := range []*Edge{first, second} {
		load.Go(func() { // requests through the gate
			client := e.client()
			for ctx.Err() == nil {
				a, err := try(ctx, client, http.MethodGet, e.AppURL()+"/api/whoami", nil, "Authorization", "Bearer "+access)
				if ctx.Err() != nil {
					return
				}
				if err != nil || a.StatusCode != http.StatusOK {
					t.Errorf("edge %d: a request through the gate: %d %s %v", i, a.StatusCode, a.Body, err)
					return
				}
				passed.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		})
		load.Go(func() { // charges, each repeated until it is answered
			client := e.client()
			for n := 0; ctx.Err() == nil; n++ {
				body := map[string]any{"amount": 1, "appId": "test", "description": "failover", "idempotencyKey": fmt.Sprintf("%d-%d", i, n)}
				for {
					a, err := try(t.Context(), client, http.MethodPost, e.Auth()+"/api/v1/credits/use", body, "Authorization", "Bearer "+access)
					if err == nil && (a.StatusCode == http.StatusOK || a.StatusCode == http.StatusCreated) {
						charged.Add(1)
						break
					}
					if err != nil || a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
						t.Errorf("edge %d: a charge: %d %s %v", i, a.StatusCode, a.Body, err)
						return
					}
					refused.Add(1)
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	time.Sleep(3 * time.Second)
	before := charged.Load()
	old := cluster.leader(t)
	old.kill(t)
	killed := time.Now()
	cluster.await(t, "other leader", func(n *patroniNode) bool { return n != old && n.role(t.Context()) == "leader" })
	elected := time.Since(killed)
	for mark := charged.Load(); charged.Load() < mark+50; time.Sleep(20 * time.Millisecond) {
		if time.Since(killed) > 2*time.Minute {
			t.Fatal("no charges after the failover")
		}
	}
	healed := time.Since(killed)
	time.Sleep(2 * time.Second)
	stop()
	load.Wait()
	t.Logf("the other server was elected after %v and charged on after %v; %d requests passed the gate, %d charges before and %d after, %d times 503 meanwhile",
		elected.Round(time.Millisecond), healed.Round(time.Millisecond), passed.Load(), before, charged.Load()-before, refused.Load())

	balance := want(t, send(t, second.client(), http.MethodGet, second.Auth()+"/api/v1/credits/balance", nil, "Authorization", "Bearer "+access), http.StatusOK)
	if spent := 100_000 - balance.JSON()["balance"].(float64); int64(spent) != charged.Load() {
		t.Errorf("%v credits are gone for %d charges", spent, charged.Load())
	}
	first.run(t, "mana", "credits", "audit", "--database", dsn)
	want(t, refreshAt(t, second, refresh), http.StatusOK)

	var lags []time.Duration
	for i := range 50 {
		access, refresh := login(t, first, "grace@mana.how", fmt.Sprintf("192.0.2.%d", 100+i))
		passes(t, second, access)
		want(t, send(t, first.client(), http.MethodPost, first.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": refresh}), http.StatusOK)
		began := time.Now()
		if err := refusal(t.Context(), time.Second, second.client(), second.AppURL()+"/api/whoami", "Authorization", "Bearer "+access); err != nil {
			t.Fatal(errors.Join(errors.New("a sign-out behind the failover"), err))
		}
		lags = append(lags, time.Since(began))
	}
	slices.Sort(lags)
	t.Logf("a sign-out on one edge was honoured by the other after %v (median), %v (the slowest of 50), the request that asks included", lags[25].Round(100*time.Microsecond), lags[49].Round(100*time.Microsecond))
}
