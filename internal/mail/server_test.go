package mail_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"mana.how/edge/internal/mail"
)

const (
	username = "edge@mana.example"
	password = "correct horse"
)

// server is an SMTP server that keeps what it is given.
type server struct {
	mechanisms []string
	fail       map[string]error // by command: MAIL, RCPT, DATA

	port  int
	roots *x509.CertPool

	mu       sync.Mutex
	received []received
	signedIn []string // by mechanism
	dialogue bytes.Buffer
}

type received struct {
	from, to, text string
	encrypted      bool
	utf8           bool
}

// mode is how the server of a test encrypts.
type mode int

const (
	inClear mode = iota
	starttls
	implicit
)

// serve starts a server; change may change it before.
func serve(t *testing.T, how mode, change ...func(*server, *smtp.Server)) *server {
	t.Helper()
	s := &server{mechanisms: []string{"PLAIN"}, fail: map[string]error{}}
	front := smtp.NewServer(s)
	front.Domain = "mx.mana.example"
	front.AllowInsecureAuth = how == inClear
	front.ReadTimeout, front.WriteTimeout = 30*time.Second, 30*time.Second
	front.Debug = &lockedWriter{s: s}
	front.ErrorLog = silent{}
	certificate, roots := certificate(t)
	s.roots = roots
	for _, c := range change {
		c(s, front)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	switch how {
	case starttls:
		front.TLSConfig = config
	case implicit:
		listener = tls.NewListener(listener, config)
	}
	go func() { _ = front.Serve(listener) }()
	t.Cleanup(func() { _ = front.Close() })
	return s
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

type lockedWriter struct{ s *server }

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.dialogue.Write(p)
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialogue.String()
}

func (s *server) mails() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.received...)
}

func (s *server) mechanismsUsed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.signedIn, " ")
}

// NewSession implements [smtp.Backend].
func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	server *server
	conn   *smtp.Conn
	in     received
}

func (s *session) AuthMechanisms() []string { return s.server.mechanisms }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, pass string) error {
		if user != username || pass != password {
			return smtp.ErrAuthFailed
		}
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		s.server.signedIn = append(s.server.signedIn, mechanism)
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, pass string) error { return check(user, pass) }), nil
	case "LOGIN":
		return &login{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// login is the server's side of AUTH LOGIN.
type login struct {
	check func(user, pass string) error
	step  int
	user  string
}

func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.check(l.user, string(response))
	}
}

func (s *session) Mail(from string, options *smtp.MailOptions) error {
	if err := s.server.fail["MAIL"]; err != nil {
		return err
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.in = received{from: from, encrypted: encrypted, utf8: options.UTF8}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.in.to = to
	return s.server.fail["RCPT"]
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.server.fail["DATA"]; err != nil {
		return err
	}
	s.in.text = string(text)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.received = append(s.server.received, s.in)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// certificate makes one for 127.0.0.1 and mx.mana.example, with the pool that
// knows its authority.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"mx.mana.example"}, IPAddresses: []net.IP{netip.MustParseAddr("127.0.0.1").AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// config reaches the server of a test and knows its certificate.
func (s *server) config() mail.Config {
	return mail.Config{
		Host: "127.0.0.1", Port: s.port, From: "ManaCore <noreply@mana.example>", RootCAs: s.roots, Timeout: 10 * time.Second,
		Username: username, Password: password,
	}
}

func sender(t *testing.T, cfg mail.Config) *mail.SMTP {
	t.Helper()
	s, err := mail.NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// script is a server that says what it is told to: a line for each that it
// reads, after the greeting. It keeps what it reads.
type script struct {
	port int

	mu   sync.Mutex
	read []string
}

func (s *script) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.read, "\n")
}

// errHang is for a reply that never comes, errClose for a connection that ends.
var errHang, errClose = errors.New("hang"), errors.New("close")

// play starts a server that answers by reply: greeting has no line. Lines of a
// mail are read up to the dot.
func play(t *testing.T, reply func(line string) (string, error)) *script {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{port: listener.Addr().(*net.TCPAddr).Port}
	over := make(chan struct{})
	t.Cleanup(func() { close(over); listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				s.talk(conn, reply, over)
			}()
		}
	}()
	return s
}

func (s *script) talk(conn net.Conn, reply func(string) (string, error), over <-chan struct{}) {
	lines := bufio.NewScanner(conn)
	line, data := "", false
	for {
		answer, err := "", error(nil)
		if !data || line == "." {
			answer, err = reply(line)
			data = strings.HasPrefix(answer, "354")
		}
		if errors.Is(err, errHang) {
			<-over
		}
		if err != nil {
			return
		}
		if answer != "" {
			if _, err := io.WriteString(conn, answer+"\r\n"); err != nil {
				return
			}
		}
		if !lines.Scan() {
			return
		}
		line = lines.Text()
		s.mu.Lock()
		s.read = append(s.read, line)
		s.mu.Unlock()
	}
}

// polite is what a server says that takes everything, without TLS.
func polite(line string) (string, error) {
	command, _, _ := strings.Cut(line, " ")
	switch command {
	case "":
		return "220 mx.mana.example", nil
	case "EHLO":
		return "250-mx.mana.example\r\n250 AUTH PLAIN", nil
	case "AUTH":
		return "235 welcome", nil
	case "DATA":
		return "354 go on", nil
	case "QUIT":
		return "221 bye", nil
	}
	return "250 ok", nil
}

func (s *script) config() mail.Config {
	return mail.Config{Host: "127.0.0.1", Port: s.port, From: "noreply@mana.example", Username: username, Password: password, Timeout: 10 * time.Second}
}

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }
