package edgetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// Wire is a Caddy that speaks HTTP/1.1, HTTP/2 and HTTP/3 on one address, with
// sites before an upstream that keeps every byte.
type Wire struct {
	Addr     string // of all sites, TCP and UDP
	Port     string
	Upstream *byteUpstream
	Auth     *authcore.Service
	config   []byte
}

// Host is a name of a site with the port of all sites.
func (w *Wire) Host(site string) string { return site + ".mana.localhost:" + w.Port }

// StartWire runs Caddy, so such a test cannot run beside another of its kind.
// Each site is a name and its directives; all end at the upstream. In global
// options and directives, $PORT and $UPSTREAM stand for what they say.
func StartWire(t testing.TB, options string, sites map[string]string) *Wire {
	t.Helper()
	dir := t.TempDir()
	setenv(t, "XDG_DATA_HOME", t.TempDir())
	setenv(t, "XDG_CONFIG_HOME", t.TempDir())
	w := &Wire{Addr: freeport.Address(t), Upstream: newByteUpstream(t)}
	_, w.Port, _ = net.SplitHostPort(w.Addr)
	base := "https://auth.mana.localhost:" + w.Port
	cert, key := selfSigned(t, dir)

	db := pgtest.New(t)
	w.Auth = GateService(t, db, func(c *authcore.Config) {
		c.BaseURL, c.CookieDomain, c.TrustedOrigins = base, ".mana.localhost", []string{"https://*.mana.localhost:" + w.Port}
	})
	expand := func(text string) string {
		return os.Expand(text, func(name string) string {
			return map[string]string{"PORT": w.Port, "UPSTREAM": w.Upstream.addr}[name]
		})
	}
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https disable_redirects
	default_bind 127.0.0.1
	grace_period 1s
	mana {
		database %q
		base_url %s
		cookie_domain .mana.localhost
		trusted_origins https://*.mana.localhost:%s
		encryption_key %s
	}
	%s
}
`, db.DSN, base, w.Port, gateSecret, expand(options))
	for name, directives := range sites {
		text += fmt.Sprintf("https://%s {\n\ttls %s %s\n\t%s\n}\n", w.Host(name), cert, key, expand(directives))
	}
	var err error
	if w.config, err = Adapt(t, text); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(w.config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// setenv is t.Setenv, which fuzz targets do not have.
func setenv(t testing.TB, name, value string) {
	before, was := os.LookupEnv(name)
	if err := os.Setenv(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if was {
			_ = os.Setenv(name, before)
		} else {
			_ = os.Unsetenv(name)
		}
	})
}

// selfSigned writes a certificate for the sites and its key.
func selfSigned(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mana.localhost"}, DNSNames: []string{"*.mana.localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TLS is how a client of the protocol connects.
func (w *Wire) TLS(protocol string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "any.mana.localhost", NextProtos: []string{protocol}} //nolint:gosec // a test's own certificate
}

// Field is the name and the value of a header field as they go over the wire.
type Field [2]string

// RawRequest is what a raw client sends in one stream or connection.
type RawRequest struct {
	Fields  []Field       // pseudo-headers first; HTTP/1.1 makes its request line of them
	Body    string        // sent as it is
	Length  bool          // HTTP/1.1: with a Content-Length, else the bytes follow the header
	Pause   time.Duration // between header and body
	Trailer []Field
	Open    bool // never ends the stream
}

// RawAnswer is what came back; status 0 if the stream or connection was cut.
type RawAnswer struct {
	Status int
	Header map[string]string
	Body   string
}

// Protocols are the raw clients.
var Protocols = []struct {
	Name string
	Send func(testing.TB, *Wire, RawRequest) RawAnswer
}{
	{"HTTP/1.1", SendHTTP1},
	{"HTTP/2", SendHTTP2},
	{"HTTP/3", sendHTTP3},
}

// NewRawRequest is a request of the path at the site.
func NewRawRequest(w *Wire, method, site, path string, more ...Field) RawRequest {
	return RawRequest{Fields: append([]Field{{":method", method}, {":scheme", "https"}, {":authority", w.Host(site)}, {":path", path}}, more...)}
}

func atoi(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}
