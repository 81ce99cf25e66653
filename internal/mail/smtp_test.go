package mail_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mana.how/edge/internal/mail"
)

func letter() mail.Letter {
	return mail.Letter{
		ID: "0199-a.b", To: "ada@example.com", Subject: "E-Mail bestätigen - ManaCore", Kind: "verify_email",
		Text: "Hallo Ada,\n\nBestätige:\nhttps://mana.example/" + strings.Repeat("long", 60) + "?a=b\n.\n..\nEnde\n",
		HTML: "<p>Hallo Ada, <a href=\"https://mana.example/" + strings.Repeat("long", 60) + "?a=b\">bestätige</a></p>",
	}
}

// parts reads a mail as its recipient's program does.
func parts(t *testing.T, raw string) (netmail.Header, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	found := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		found[part.Header.Get("Content-Type")] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

func TestEncryptedConversations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		how        mode
		tls        string
		mechanisms string
		used       string
	}{
		"STARTTLS":          {starttls, mail.TLSStart, "PLAIN LOGIN", "PLAIN"},
		"STARTTLS, LOGIN":   {starttls, mail.TLSStart, "LOGIN", "LOGIN"},
		"STARTTLS, offered": {starttls, "", "PLAIN", "PLAIN"}, // by the own machine
		"implicit":          {implicit, mail.TLSImplicit, "LOGIN PLAIN", "PLAIN"},
		"implicit, LOGIN":   {implicit, mail.TLSImplicit, "XOAUTH2 LOGIN", "LOGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.how, func(s *server, _ *smtp.Server) { s.mechanisms = strings.Fields(c.mechanisms) })
			cfg := server.config()
			cfg.TLS = c.tls
			s := sender(t, cfg)
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := len(server.mails()); n != 0 {
				t.Errorf("Check sent %d mails", n)
			}
			if err := s.Send(t.Context(), letter()); err != nil {
				t.Fatal(err)
			}
			got := server.mails()
			if len(got) != 1 || !got[0].encrypted || got[0].from != "noreply@mana.example" || got[0].to != "ada@example.com" || got[0].utf8 {
				t.Fatalf("%+v", got)
			}
			if used := server.mechanismsUsed(); used != c.used+" "+c.used {
				t.Errorf("signed in by %s, want %s", used, c.used)
			}
			if c.how == starttls && strings.Index(server.said(), "AUTH "+c.used) < strings.Index(server.said(), "STARTTLS\r\n") {
				t.Errorf("credentials before TLS:\n%s", server.said())
			}
			if !strings.Contains(server.said(), "QUIT\r\n") {
				t.Errorf("no farewell:\n%s", server.said())
			}
		})
	}
}

func TestTheMail(t *testing.T) {
	t.Parallel()
	server := serve(t, implicit)
	cfg := server.config()
	cfg.TLS, cfg.From = mail.TLSImplicit, "Müller & Söhne <noreply@mana.example>"
	l := letter()
	if err := sender(t, cfg).Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	raw := server.mails()[0].text
	header, bodies := parts(t, raw)
	decoded, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || decoded != l.Subject || strings.Contains(header.Get("Subject"), "ä") {
		t.Errorf("subject %q, %q, %v", header.Get("Subject"), decoded, err)
	}
	from, err := header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Müller & Söhne" || from[0].Address != "noreply@mana.example" {
		t.Errorf("from %+v, %v", from, err)
	}
	date, err := header.Date()
	if err != nil || time.Since(date) > time.Minute || time.Since(date) < -time.Minute {
		t.Errorf("date %s, %v", date, err)
	}
	for name, want := range map[string]string{
		"To": "<ada@example.com>", "Message-Id": "<0199-a.b@mana.example>", "Auto-Submitted": "auto-generated", "Mime-Version": "1.0",
		"List-Unsubscribe": "", "Precedence": "", "Reply-To": "", "Bcc": "", "Cc": "", "User-Agent": "", "X-Mailer": "",
	} {
		if got := strings.Join(header[name], ", "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if bodies["text/plain; charset=UTF-8"] != l.Text || strings.TrimSpace(bodies["text/html; charset=UTF-8"]) != l.HTML {
		t.Errorf("bodies %q", bodies)
	}
	for line := range strings.Lines(raw) {
		if len(strings.TrimRight(line, "\r\n")) > 78 || strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("line %q", line)
		}
	}
	l.ID, l.HTML = "", ""
	for range 2 {
		if err := sender(t, cfg).Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := netmail.ReadMessage(strings.NewReader(server.mails()[1].text))
	second, _ := netmail.ReadMessage(strings.NewReader(server.mails()[2].text))
	if a, b := first.Header.Get("Message-Id"), second.Header.Get("Message-Id"); a == b || !strings.HasSuffix(a, "@mana.example>") || !strings.HasPrefix(first.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("ids %q and %q, %s", a, b, first.Header.Get("Content-Type"))
	}
}

// Where a certificate is not known, or is for another name, nothing is said.
func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	for _, how := range []mode{starttls, implicit} {
		server := serve(t, how)
		for name, change := range map[string]func(*mail.Config){
			"authority": func(c *mail.Config) { c.RootCAs = nil },
			"name":      func(c *mail.Config) { c.Host = "localhost" },
		} {
			cfg := server.config()
			cfg.TLS = map[mode]string{starttls: mail.TLSStart, implicit: mail.TLSImplicit}[how]
			change(&cfg)
			s := sender(t, cfg)
			for what, err := range map[string]error{"Send": s.Send(t.Context(), letter()), "Check": s.Check(t.Context())} {
				if err == nil || !strings.Contains(err.Error(), "certificate") || errors.Is(err, mail.ErrPermanent) {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			}
		}
		if len(server.mails()) != 0 || server.mechanismsUsed() != "" || strings.Contains(server.said(), "MAIL FROM") {
			t.Errorf("it was told:\n%s", server.said())
		}
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		server := serve(t, starttls, func(s *server, _ *smtp.Server) { s.mechanisms = []string{mechanism} })
		cfg := server.config()
		cfg.TLS, cfg.Password = mail.TLSStart, "wrong-secret"
		s := sender(t, cfg)
		for what, err := range map[string]error{"Send": s.Send(t.Context(), letter()), "Check": s.Check(t.Context())} {
			// The mail is not to blame: it waits until the password is right.
			if err == nil || !strings.Contains(err.Error(), "AUTH") || errors.Is(err, mail.ErrPermanent) {
				t.Errorf("%s by %s: %v", what, mechanism, err)
			}
			if err != nil && (strings.Contains(err.Error(), "wrong-secret") || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte("wrong-secret")))) {
				t.Errorf("the error tells the password: %v", err)
			}
		}
		if len(server.mails()) != 0 {
			t.Errorf("mails %+v", server.mails())
		}
	}
}

func TestNoMechanismInCommon(t *testing.T) {
	t.Parallel()
	server := serve(t, implicit, func(s *server, _ *smtp.Server) { s.mechanisms = []string{"XOAUTH2"} })
	cfg := server.config()
	cfg.TLS = mail.TLSImplicit
	if err := sender(t, cfg).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "neither AUTH PLAIN nor LOGIN") {
		t.Error(err)
	}
}

// A server without STARTTLS hears neither credentials nor mails.
func TestNothingIsSaidInClear(t *testing.T) {
	t.Parallel()
	server := play(t, polite)
	cfg := server.config()
	cfg.TLS = mail.TLSStart
	demanded := sender(t, cfg)
	cfg.TLS, cfg.Host = "", "mx.mana.example" // by default, for another machine
	foreign := sender(t, cfg)
	foreign.Dial(func(ctx context.Context, network, address string) (net.Conn, error) {
		if !strings.HasPrefix(address, "mx.mana.example:") {
			t.Errorf("dials %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", address[len("mx.mana.example:"):]))
	})
	for _, s := range []*mail.SMTP{demanded, foreign} {
		for what, err := range map[string]error{"Send": s.Send(t.Context(), letter()), "Check": s.Check(t.Context())} {
			if err == nil || !strings.Contains(err.Error(), "STARTTLS") || errors.Is(err, mail.ErrPermanent) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if heard := server.heard(); strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") || !strings.Contains(heard, "EHLO") {
		t.Errorf("heard:\n%s", heard)
	}
}

// elsewhere is a connection to another machine, as far as it says.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25}
}

// In clear only to the own machine, whatever its name leads to.
func TestClearToTheOwnMachine(t *testing.T) {
	t.Parallel()
	for _, tls := range []string{"", mail.TLSNone} {
		server := serve(t, inClear)
		cfg := server.config()
		cfg.TLS = tls
		if err := sender(t, cfg).Send(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
		if got := server.mails(); len(got) != 1 || got[0].encrypted || server.mechanismsUsed() != "PLAIN" {
			t.Errorf("%+v, %s", got, server.mechanismsUsed())
		}
		cfg.Host = "localhost"
		s := sender(t, cfg)
		s.Dial(func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, server.address())
			return elsewhere{conn}, err
		})
		if err := s.Send(t.Context(), letter()); err == nil || !strings.Contains(err.Error(), "not on this machine") {
			t.Errorf("localhost elsewhere: %v", err)
		}
		if n := len(server.mails()); n != 1 {
			t.Errorf("%d mails", n)
		}
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := serve(t, inClear, func(s *server, _ *smtp.Server) { s.mechanisms = nil })
	cfg := server.config()
	cfg.Username, cfg.Password = "", ""
	if err := sender(t, cfg).Send(t.Context(), letter()); err != nil || len(server.mails()) != 1 {
		t.Errorf("%v, %d mails", err, len(server.mails()))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command   string
		answer    *smtp.SMTPError
		permanent bool
	}{
		"greylisted":       {"RCPT", &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, Ada@Example.com, come back"}, false},
		"mailbox busy":     {"RCPT", &smtp.SMTPError{Code: 451, Message: "later"}, false},
		"no such user":     {"RCPT", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<ada@example.com> unknown"}, true},
		"no relaying":      {"RCPT", &smtp.SMTPError{Code: 554, Message: "no relaying"}, true},
		"sign in first":    {"RCPT", &smtp.SMTPError{Code: 530, Message: "authentication required"}, false},
		"sender":           {"MAIL", &smtp.SMTPError{Code: 550, Message: "not this sender"}, false},
		"sender, later":    {"MAIL", &smtp.SMTPError{Code: 452, Message: "full"}, false},
		"content":          {"DATA", &smtp.SMTPError{Code: 554, Message: "spam"}, true},
		"content, later":   {"DATA", &smtp.SMTPError{Code: 452, Message: "full"}, false},
		"several\nlines":   {"RCPT", &smtp.SMTPError{Code: 550, Message: "one\ntwo"}, true},
		"hostile \x1b[31m": {"RCPT", &smtp.SMTPError{Code: 550, Message: "\x1b[31m red"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, inClear, func(s *server, _ *smtp.Server) { s.fail[c.command] = c.answer })
			err := sender(t, server.config()).Send(t.Context(), letter())
			if err == nil || errors.Is(err, mail.ErrPermanent) != c.permanent {
				t.Fatalf("permanent %t: %v", !c.permanent, err)
			}
			text := err.Error()
			if !strings.Contains(text, c.command) || strings.Contains(strings.ToLower(text), "ada@example.com") || strings.ContainsAny(text, "\n\r\x1b") {
				t.Errorf("error %q", text)
			}
			if len(server.mails()) != 0 {
				t.Error("it was taken")
			}
		})
	}
}

// Whatever the server does not answer, and whenever it hangs up, the sender
// comes back in time with an error that may pass.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	for _, stop := range []string{"", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."} {
		for _, how := range []error{errHang, errClose} {
			t.Run(stop+" "+how.Error(), func(t *testing.T) {
				t.Parallel()
				server := play(t, func(line string) (string, error) {
					if command, _, _ := strings.Cut(line, " "); command == stop {
						return "", how
					}
					return polite(line)
				})
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				began := time.Now()
				err := sender(t, server.config()).Send(ctx, letter())
				if err == nil || errors.Is(err, mail.ErrPermanent) || time.Since(began) > 2*time.Second {
					t.Errorf("%v after %s", err, time.Since(began))
				}
				if errors.Is(err, context.DeadlineExceeded) != errors.Is(how, errHang) {
					t.Errorf("error %v", err)
				}
				cfg := server.config()
				cfg.Timeout = 300 * time.Millisecond // alone
				began = time.Now()
				if err := sender(t, cfg).Send(context.Background(), letter()); err == nil || time.Since(began) > 2*time.Second {
					t.Errorf("by the timeout: %v after %s", err, time.Since(began))
				}
			})
		}
	}
}

func TestAServerThatHangsInTLS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tls   string
		reply func(string) (string, error)
	}{
		"STARTTLS": {mail.TLSStart, func(line string) (string, error) {
			switch {
			case strings.HasPrefix(line, "EHLO"):
				return "250-mx\r\n250 STARTTLS", nil
			case line == "STARTTLS":
				return "", errHang
			}
			return polite(line)
		}},
		"handshake after STARTTLS": {mail.TLSStart, func(line string) (string, error) {
			switch {
			case strings.HasPrefix(line, "EHLO"):
				return "250-mx\r\n250 STARTTLS", nil
			case line == "STARTTLS":
				return "220 go on", nil
			case line == "":
				return "220 mx", nil
			}
			return "", errHang
		}},
		"handshake": {mail.TLSImplicit, func(string) (string, error) { return "", errHang }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := play(t, c.reply).config()
			cfg.TLS = c.tls
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			err := sender(t, cfg).Send(ctx, letter())
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mail.ErrPermanent) || time.Since(began) > 2*time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	}
}

// What the server has taken is sent, however it takes its leave.
func TestAServerThatLeavesBadly(t *testing.T) {
	t.Parallel()
	for _, how := range []error{errHang, errClose} {
		server := play(t, func(line string) (string, error) {
			if line == "QUIT" {
				return "", how
			}
			return polite(line)
		})
		began := time.Now()
		if err := sender(t, server.config()).Send(t.Context(), letter()); err != nil || time.Since(began) > 4*time.Second {
			t.Errorf("%v: %v after %s", how, err, time.Since(began))
		}
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	s := sender(t, mail.Config{Host: "127.0.0.1", Port: port, From: "noreply@mana.example"})
	if err := s.Send(t.Context(), letter()); err == nil || errors.Is(err, mail.ErrPermanent) {
		t.Error(err)
	}
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:") {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Send(ended, letter()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestInternationalAddresses(t *testing.T) {
	t.Parallel()
	old := serve(t, inClear)
	modern := serve(t, inClear, func(_ *server, front *smtp.Server) { front.EnableSMTPUTF8 = true })
	for _, c := range []struct {
		to        string
		old       string // envelope; empty where it is refused
		modern    string
		utf8      bool
		permanent bool
	}{
		{to: "ada@example.com", old: "ada@example.com", modern: "ada@example.com"},
		{to: "ada@Müller.example", old: "ada@xn--mller-kva.example", modern: "ada@xn--mller-kva.example"},
		{to: "zoë@example.com", modern: "zoë@example.com", utf8: true},
		{to: "zoë@müller.example", modern: "zoë@xn--mller-kva.example", utf8: true},
	} {
		l := letter()
		l.To = c.to
		before := len(old.mails())
		err := sender(t, old.config()).Send(t.Context(), l)
		if c.old == "" {
			if !errors.Is(err, mail.ErrPermanent) || !strings.Contains(err.Error(), "SMTPUTF8") || len(old.mails()) != before {
				t.Errorf("%s to a server without SMTPUTF8: %v", c.to, err)
			}
		} else if got := old.mails(); err != nil || got[len(got)-1].to != c.old {
			t.Errorf("%s: %v, %+v", c.to, err, got)
		}
		if err := sender(t, modern.config()).Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		got := modern.mails()
		if last := got[len(got)-1]; last.to != c.modern || last.utf8 != c.utf8 {
			t.Errorf("%s: %+v", c.to, last)
		}
	}
}

func TestLettersThatCannotBe(t *testing.T) {
	t.Parallel()
	server := serve(t, inClear)
	s := sender(t, server.config())
	for name, change := range map[string]func(*mail.Letter){
		"no recipient":           func(l *mail.Letter) { l.To = "" },
		"no address":             func(l *mail.Letter) { l.To = "ada" },
		"a name":                 func(l *mail.Letter) { l.To = "Ada <ada@example.com>" },
		"two recipients":         func(l *mail.Letter) { l.To = "ada@example.com, bob@example.com" },
		"recipient with a break": func(l *mail.Letter) { l.To = "ada@example.com\r\nRCPT TO:<bob@example.com>" },
		"recipient with more":    func(l *mail.Letter) { l.To = "ada@example.com>\r\nDATA" },
		"no domain":              func(l *mail.Letter) { l.To = "ada@" },
		"bad domain":             func(l *mail.Letter) { l.To = "ada@ex_ample.example" },
		"no subject":             func(l *mail.Letter) { l.Subject = "" },
		"subject with a break":   func(l *mail.Letter) { l.Subject = "x\r\nBcc: bob@example.com" },
		"subject with LF":        func(l *mail.Letter) { l.Subject = "x\nBcc: bob@example.com" },
		"subject with NUL":       func(l *mail.Letter) { l.Subject = "x\x00" },
		"no text":                func(l *mail.Letter) { l.Text = "" },
		"id with a break":        func(l *mail.Letter) { l.ID = "x>\r\nBcc: bob@example.com" },
		"id with an at":          func(l *mail.Letter) { l.ID = "x@evil" },
	} {
		l := letter()
		change(&l)
		if err := s.Send(t.Context(), l); !errors.Is(err, mail.ErrPermanent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if server.said() != "" {
		t.Errorf("the server was told\n%s", server.said())
	}
}

// A rendered mail with hostile names has the headers and the recipient that it
// should have, and no more.
func TestHostileNamesOnTheWire(t *testing.T) {
	t.Parallel()
	server := serve(t, inClear)
	s := sender(t, server.config())
	all := templates(t, "")
	l, err := all.Render(mail.Invitation, "de", hostile("Acme\r\nBcc: bob@example.com\r\n\r\n.\r\nMAIL FROM:<x@y>\r\n=?utf-8?q?x?="))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	header, bodies := parts(t, server.mails()[0].text)
	if len(server.mails()) != 1 || header.Get("Bcc") != "" || len(header) != 8 || len(bodies) != 2 {
		t.Errorf("%d mails, %d bodies, headers %v", len(server.mails()), len(bodies), header)
	}
	if decoded, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject")); err != nil || decoded != l.Subject {
		t.Errorf("subject %q, want %q, %v", decoded, l.Subject, err)
	}
}

// An encoded word in a name is shown as it is, and not what it hides.
func TestEncodedWordsAreNotDecoded(t *testing.T) {
	t.Parallel()
	server := serve(t, inClear)
	s := sender(t, server.config())
	const hidden = "=?utf-8?q?evil=2Eexample?="
	d := full()
	d.Organization = hidden
	for _, l := range []mail.Letter{render(t, mail.Invitation, "de", d), {To: "ada@example.com", Subject: hidden, Text: "x"}} {
		if err := s.Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range server.mails() {
		parsed, err := netmail.ReadMessage(strings.NewReader(m.text))
		if err != nil {
			t.Fatal(err)
		}
		shown, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
		if err != nil || strings.Contains(shown, "evil.example") {
			t.Errorf("subject %q, %v", shown, err)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := render(t, mail.VerifyEmail, "de", full())
	if err := (mail.Log{Logger: slog.New(slog.NewJSONHandler(&out, nil))}).Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NOT SENT", "ada@example.com", "https://mana.example/do?token=abc", "verify_email", "WARN"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}
