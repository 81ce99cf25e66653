package services_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// mailServer is an SMTP server on this machine that keeps what it is given. While
// it is closed it takes nothing.
type mailServer struct {
	port string

	mu     sync.Mutex
	closed bool
	mails  []string
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailServer{port: strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}
	server := smtp.NewServer(m)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return m
}

// NewSession implements [smtp.Backend].
func (m *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &mailSession{server: m}, nil
}

func (m *mailServer) setClosed(closed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = closed
}

// to are the mails to an address.
func (m *mailServer) to(address string) (list []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mail := range m.mails {
		if strings.Contains(mail, "To: <"+address+">") {
			list = append(list, mail)
		}
	}
	return list
}

type mailSession struct{ server *mailServer }

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *mailSession) Reset()                               {}
func (s *mailSession) Logout() error                        { return nil }

func (s *mailSession) Rcpt(string, *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.closed {
		return &smtp.SMTPError{Code: 451, Message: "come again later"}
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, string(bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("=\r\n"), nil), []byte("=3D"), []byte("="))))
	return nil
}

var verifyLink = regexp.MustCompile(`http[^\s"<>]*/api/auth/verify-email\?[^\s"<>]*`)

// An account from its registration to its first sign-in, by a mail that a real
// conversation carries within two seconds; and a mail that is greylisted, which
// waits and leaves once.
func TestRegistrationByMail(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, mails, address := pgtest.New(t), newMailServer(t), freeport.Address(t)
	app := edgetest.With(edgetest.With(edgetest.ExternalApp(db), "base_url", "http://"+address), "smtp",
		map[string]any{"host": "127.0.0.1", "port": mails.port, "from": "Mana <noreply@mana.example>"})
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	site := "http://" + address
	const body = `{"email":"ada@example.com","password":"` + edgetest.SignUpPassword + `"}`
	if r := edgetest.Fetch(t, "POST", site+"/api/v1/auth/register", body); r.StatusCode != http.StatusCreated {
		t.Fatalf("register: %s", r.Status)
	}
	began := time.Now()
	edgetest.Eventually(t, "the mail arrives", func() bool { return len(mails.to("ada@example.com")) == 1 })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the mail took %v", took)
	}
	if r := edgetest.Fetch(t, "POST", site+"/api/v1/auth/login", body); r.StatusCode != http.StatusForbidden {
		t.Errorf("sign-in before: %s", r.Status)
	}
	link, err := url.Parse(strings.ReplaceAll(verifyLink.FindString(mails.to("ada@example.com")[0]), "&amp;", "&"))
	if err != nil || link.Host != address {
		t.Fatalf("the link is %v, %v in %s", link, err, mails.to("ada@example.com")[0])
	}
	if r := edgetest.Fetch(t, "GET", link.String(), ""); r.StatusCode != http.StatusOK {
		t.Errorf("the page: %s", r.Status)
	}
	form, err := http.NewRequestWithContext(t.Context(), "POST", site+"/api/auth/verify-email", strings.NewReader(url.Values{"token": {link.Query().Get("token")}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form.Header.Set("Origin", site)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Do(form)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if to := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || to != site+"/login?email=ada%40example.com&verified=true" {
		t.Errorf("the button: %s to %s", r.Status, to)
	}
	if r := edgetest.Fetch(t, "POST", site+"/api/v1/auth/login", body); r.StatusCode != http.StatusOK {
		t.Errorf("sign-in after: %s", r.Status)
	}

	// What a server does not take waits, and nobody else waits for it.
	mails.setClosed(true)
	began = time.Now()
	if r := edgetest.Fetch(t, "POST", site+"/api/v1/auth/forgot-password", `{"email":"ada@example.com"}`); r.StatusCode != http.StatusOK {
		t.Errorf("forgot-password: %s", r.Status)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the request waited %v for the mail server", took)
	}
	edgetest.Eventually(t, "the mail waits", func() bool {
		waiting, dead, _, err := edgetest.LiveRuntime(t).Mail.Outbox().Counts(t.Context())
		return err == nil && waiting == 1 && dead == 0
	})
	mails.setClosed(false)
	edgetest.Eventually(t, "it leaves when its time has come", func() bool { return len(mails.to("ada@example.com")) == 2 })
	if time.Sleep(1500 * time.Millisecond); len(mails.to("ada@example.com")) != 2 {
		t.Errorf("it left %d times", len(mails.to("ada@example.com"))-1)
	}

	// A device that has not signed in before is told of, in the language that its
	// user has chosen and not in that of whoever signs in.
	var signedIn struct{ AccessToken string }
	send := func(method, path, body, token string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, site+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept-Language", "de")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		r, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if err := json.NewDecoder(r.Body).Decode(&signedIn); err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s, %v", method, path, r.Status, err)
		}
	}
	send("POST", "/api/v1/auth/login", body, "")
	send("PATCH", "/api/v1/settings/global", `{"locale":"en"}`, signedIn.AccessToken)
	send("POST", "/api/v1/auth/login", strings.TrimSuffix(body, "}")+`,"deviceId":"phone","deviceName":"Phone"}`, "")
	edgetest.Eventually(t, "the owner is told", func() bool { return len(mails.to("ada@example.com")) == 3 })
	if mail := mails.to("ada@example.com")[2]; !strings.Contains(mail, "Sign-in from a new device") || !strings.Contains(mail, "Device: Phone") || !strings.Contains(mail, site+"/account/devices") {
		t.Errorf("the mail is %s", mail)
	}
}

// Without a mail server the link is in the log of the edge, and doctor warns.
func TestMailWithoutAServer(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	findings, err := edgetest.Findings(t, edgetest.ExternalApp(db))
	if err != nil && len(findings) == 0 {
		t.Fatal(err)
	}
	if f := findings["smtp"]; f.Status != "warn" || !strings.Contains(f.Detail, "log") {
		t.Errorf("doctor says %+v", f)
	}
	if _, err := edgetest.Operate(t, "", "mail", "test", "--to", "ada@example.com", "--config", edgetest.ConfigFile(t, edgetest.ExternalApp(db))); err == nil || !strings.Contains(err.Error(), "no smtp is configured") {
		t.Errorf("mail test: %v", err)
	}
}

// The commands for mail: a test that arrives, and what was given up.
func TestMailCommands(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, mails := pgtest.New(t), newMailServer(t)
	app := edgetest.With(edgetest.ExternalApp(db), "smtp", map[string]any{"host": "127.0.0.1", "port": mails.port, "from": "noreply@mana.example"})
	file := edgetest.ConfigFile(t, app)
	if out, err := edgetest.Operate(t, "", "mail", "test", "--to", "ada@example.com", "--config", file); err != nil || !strings.Contains(out, "ada@example.com") {
		t.Errorf("mail test: %s, %v", out, err)
	}
	if len(mails.to("ada@example.com")) != 1 {
		t.Error("no mail arrived")
	}
	findings, _ := edgetest.Findings(t, app)
	if f := findings["smtp"]; f.Status != "ok" {
		t.Errorf("doctor says %+v", f)
	}
	mails.setClosed(true)
	if _, err := edgetest.Operate(t, "", "mail", "test", "--to", "ada@example.com", "--config", file); err == nil || !strings.Contains(err.Error(), "come again later") {
		t.Errorf("mail test, refused: %v", err)
	}
	if out, err := edgetest.Operate(t, "", "mail", "dead", "--config", file); err != nil || !strings.HasPrefix(out, "ID") {
		t.Errorf("mail dead: %s, %v", out, err)
	}
	if _, err := edgetest.Operate(t, "", "mail", "retry", "no-such-mail", "--config", file); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("mail retry: %v", err)
	}
}
