package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/backup"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/config"
)

// one is the finding that f makes, the zero one where it makes none.
func one(t *testing.T, f func(*doctor)) finding {
	t.Helper()
	d := &doctor{Invocation: invoke.Invocation{Command: new(cobra.Command), Ctx: t.Context()}}
	f(d)
	if len(d.findings) > 1 {
		t.Fatalf("findings: %v", d.findings)
	}
	if len(d.findings) == 0 {
		return finding{}
	}
	return d.findings[0]
}

func wantFinding(t *testing.T, name string, f finding, status, detail string) {
	t.Helper()
	if f.Status != status || !strings.Contains(f.Detail, detail) {
		t.Errorf("%s: %+v, want %s with %q", name, f, status, detail)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	room := func(left uint64) finding { return one(t, func(d *doctor) { d.room("/data", left) }) }
	wantFinding(t, "room", room(diskLow), statusOK, "1024 MiB are left at /data")
	wantFinding(t, "little room", room(diskLow-1), statusWarn, "1023 MiB")
	wantFinding(t, "enough to go on", room(diskOut), statusWarn, "100 MiB")
	wantFinding(t, "no room", room(diskOut-1), statusFail, "PostgreSQL stops")
	used := func(n int) finding { return one(t, func(d *doctor) { d.judgeConnections(n, 100) }) }
	wantFinding(t, "connections", used(80), statusOK, "80 of 100")
	wantFinding(t, "too many connections", used(81), statusWarn, "PgBouncer")
	age := func(days int) finding { return one(t, func(d *doctor) { d.keyAge(now.AddDate(0, 0, -days), now) }) }
	wantFinding(t, "key", age(100), statusOK, "100 days")
	wantFinding(t, "old key", age(101), statusWarn, "101 days")
	if there := existing(filepath.Join(t.TempDir(), "a", "b")); strings.HasSuffix(there, "a") {
		t.Errorf("the nearest folder is %s", there)
	}
}

func TestBackupsAreAsked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	ask := func() finding { return one(t, func(d *doctor) { d.backups(config.Database{Dir: dir}, now) }) }
	wantFinding(t, "never", ask(), statusWarn, "there was none")
	note := func(at time.Time) {
		if err := os.WriteFile(filepath.Join(dir, backup.LastFile), []byte(`{"made":"`+at.Format(time.RFC3339)+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	note(now.Add(-backupOld))
	wantFinding(t, "last week", ask(), statusOK, "2026-11-21")
	note(now.Add(-backupOld - time.Second))
	wantFinding(t, "long ago", ask(), statusWarn, "8 days old")
	if f := one(t, func(d *doctor) { d.backups(config.Database{URL: config.NewSecret("postgres://a/b")}, now) }); f != (finding{}) {
		t.Errorf("of a server of the admin's own: %+v", f)
	}
}

func TestSenderInDNS(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		records        map[string][]string
		err            error
		status, detail string
	}{
		"both":     {map[string][]string{"mana.how": {"other", "v=spf1 include:x -all"}, "_dmarc.mana.how": {"v=DMARC1; p=reject"}}, nil, statusOK, "SPF and DMARC"},
		"no DMARC": {map[string][]string{"mana.how": {"v=spf1 -all"}}, nil, statusWarn, "no DMARC"},
		"neither":  {nil, nil, statusWarn, "no SPF"},
		"for all":  {map[string][]string{"mana.how": {"v=spf1 +all"}, "_dmarc.mana.how": {"V=dmarc1; p=none"}}, nil, statusWarn, "+all"},
		"no DNS":   {nil, errors.New("no answer"), "", ""},
	} {
		look := func(_ context.Context, host string) ([]string, error) {
			if tt.err != nil {
				return nil, tt.err
			}
			if texts, ok := tt.records[host]; ok {
				return texts, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		f := one(t, func(d *doctor) { d.sender("Mana <noreply@mana.how>", look) })
		wantFinding(t, name, f, tt.status, tt.detail)
	}
}

func TestCertificateIsLookedAt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: now.AddDate(0, 0, -60), NotAfter: now.AddDate(0, 0, 30),
		IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(shown)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	named := &url.URL{Scheme: "https", Host: "localhost:" + base.Port()}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := &url.URL{Scheme: "https", Host: gone.Addr().String()}
	gone.Close()
	for name, tt := range map[string]struct {
		base           *url.URL
		roots          *x509.CertPool
		now            time.Time
		status, detail string
	}{
		"good":          {base, roots, now, statusOK, "has one until"},
		"soon over":     {base, roots, now.AddDate(0, 0, 21), statusWarn, "should have been renewed"},
		"over":          {base, roots, now.AddDate(0, 0, 31), statusFail, "expired"},
		"stranger's":    {base, x509.NewCertPool(), now, statusWarn, "does not know"},
		"another name":  {named, roots, now, statusFail, "other names"},
		"nobody":        {away, roots, now, statusWarn, "nothing answers"},
		"without https": {&url.URL{Scheme: "http", Host: base.Host}, roots, now, "", ""},
	} {
		wantFinding(t, name, one(t, func(d *doctor) { d.certificate(tt.base, tt.roots, tt.now) }), tt.status, tt.detail)
	}
}

func TestSitesBeyondTheCookie(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"apps":{"http":{"servers":{"a":{"routes":[
		{"match":[{"host":["app.example.com","example.com"]}],"handle":[{"handler":"mana_auth"}]},
		{"match":[{"host":["app.example.org"]}],"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"mana_auth"}]}]}]},
		{"match":[{"host":["notexample.com","app.example.org"]}],"handle":[{"handler":"mana_auth"}]},
		{"match":[{"host":["open.example.net"]}],"handle":[{"handler":"file_server"}]}]}}}}}`)
	if got := strings.Join(beyond(".example.com", raw), " "); got != "app.example.org notexample.com" {
		t.Errorf("beyond the cookie: %s", got)
	}
}

func TestRedisMemoryIsLookedAt(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	listener.Close()
	ctx, stop := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(address.Port), "--save", "", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = server.Wait()
	})
	client := redis.NewClient(&redis.Options{Addr: address.String()})
	t.Cleanup(func() { _ = client.Close() })
	for deadline := time.Now().Add(20 * time.Second); client.Ping(t.Context()).Err() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("Redis does not answer")
		}
	}
	look := func() finding { return one(t, func(d *doctor) { d.eviction(t.Context(), client) }) }
	set := func(name, value string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	wantFinding(t, "no limit", look(), statusOK, "without a limit")
	set("maxmemory", "64mb")
	wantFinding(t, "noeviction", look(), statusWarn, "volatile-ttl")
	set("maxmemory-policy", "volatile-ttl")
	wantFinding(t, "volatile-ttl", look(), statusOK, "64.00M, then volatile-ttl")
}
