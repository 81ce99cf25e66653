package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"mana.how/edge/internal/usertext"
)

// SMTP sends mails through a server, each over a connection of its own. It may
// be used at once.
type SMTP struct {
	cfg    Config
	from   *mail.Address
	domain string // of from
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewSMTP makes a sender, and reaches no server yet. Its errors are those of
// [Config.Validate].
func NewSMTP(cfg Config) (*SMTP, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	from, err := parseSender(cfg.From)
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return &SMTP{cfg: cfg.withDefaults(), from: from, domain: domain, dial: new(net.Dialer).DialContext}, nil
}

// Check reaches the server, encrypts, signs in and leaves, so that an
// administrator sees what would go wrong.
func (s *SMTP) Check(ctx context.Context) error {
	return s.converse(ctx, func(*smtp.Client) error { return nil })
}

// Send sends a mail within [Config.Timeout]. See [Sender].
func (s *SMTP) Send(ctx context.Context, letter Letter) error {
	to, err := recipient(letter.To)
	if err != nil {
		return err
	}
	message, err := s.message(letter, to)
	if err != nil {
		return err
	}
	return s.converse(ctx, func(client *smtp.Client) error {
		if international := !ascii(to); international {
			if offered, _ := client.Extension("SMTPUTF8"); !offered {
				return permanent("the server takes no international addresses (SMTPUTF8)")
			}
		} else {
			client.SkipSMTPUTF8(true) // or servers that the mail goes on to may refuse it
		}
		return transfer(client, s.from.Address, to, message)
	})
}

// transfer gives the message to the server (RFC 5321, section 3.3).
func transfer(client *smtp.Client, from, to string, message *gomail.Msg) error {
	if err := client.Mail(angle(from)); err != nil {
		// Nothing is wrong with this mail alone if the sender is refused.
		return &serverError{step: "MAIL FROM", cause: err}
	}
	if err := client.Rcpt(angle(to)); err != nil {
		return refusal("RCPT TO", err, to)
	}
	writer, err := client.Data()
	if err != nil {
		return refusal("DATA", err, to)
	}
	if _, err := message.WriteTo(writer); err != nil {
		return fmt.Errorf("write the mail: %w", err)
	}
	if err := writer.Close(); err != nil {
		return refusal("DATA", err, to)
	}
	return nil
}

func angle(address string) string { return (&mail.Address{Address: address}).String() }

// quitWait bounds the wait for the server's farewell.
const quitWait = 2 * time.Second

// converse runs fn on a connection that is encrypted and signed in as
// configured, within ctx and [Config.Timeout], whatever the server does.
func (s *SMTP) converse(ctx context.Context, fn func(*smtp.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	client, err := s.connect(ctx, func(c net.Conn) {
		conn = c
		context.AfterFunc(ctx, func() { c.Close() })
	})
	if err == nil {
		if err = fn(client); err == nil {
			_ = conn.SetDeadline(time.Now().Add(quitWait)) // what is done is done
			_ = client.Quit()
			return nil
		}
	}
	if ctx.Err() != nil && !errors.Is(err, ErrPermanent) {
		return fmt.Errorf("mail server %s: %w", s.address(), ctx.Err())
	}
	return fmt.Errorf("mail server %s: %w", s.address(), err)
}

func (s *SMTP) address() string { return net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port)) }

// connect opens a connection, which opened is told of, and is through with
// EHLO, STARTTLS and AUTH when it returns.
func (s *SMTP) connect(ctx context.Context, opened func(net.Conn)) (*smtp.Client, error) {
	config := &tls.Config{ServerName: s.cfg.Host, RootCAs: s.cfg.RootCAs, MinVersion: tls.VersionTLS12}
	policy := map[string]gomail.TLSPolicy{
		TLSStart: gomail.TLSMandatory, TLSImplicit: gomail.NoTLS, TLSNone: gomail.NoTLS, "": gomail.TLSOpportunistic,
	}[s.cfg.TLS]
	options := []gomail.Option{
		gomail.WithPort(s.cfg.Port), gomail.WithTimeout(s.cfg.Timeout), gomail.WithHELO(s.domain),
		gomail.WithTLSConfig(config), gomail.WithTLSPolicy(policy),
		gomail.WithDialContextFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := s.dial(ctx, network, s.address())
			if err != nil {
				return nil, err
			}
			opened(conn)
			if (s.cfg.TLS == TLSNone || s.cfg.TLS == "") && !isLoopback(conn.RemoteAddr()) {
				return nil, fmt.Errorf("%s is not on this machine, and nothing else is reached without TLS", conn.RemoteAddr())
			}
			if s.cfg.TLS != TLSImplicit {
				return conn, nil
			}
			encrypted := tls.Client(conn, config)
			return encrypted, encrypted.HandshakeContext(ctx)
		}),
	}
	if s.cfg.Username != "" {
		options = append(options, gomail.WithSMTPAuthCustom(&credentials{cfg: s.cfg}))
	}
	client, err := gomail.NewClient(s.cfg.Host, options...)
	if err != nil {
		return nil, err
	}
	return client.DialToSMTPClientWithContext(ctx)
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// credentials signs in by whichever of PLAIN and LOGIN the server offers.
type credentials struct {
	cfg  Config
	auth smtp.Auth
}

// Start implements [smtp.Auth].
func (c *credentials) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS && !c.cfg.loopback() {
		return "", nil, errors.New("credentials are not sent without TLS")
	}
	for _, mechanism := range server.Auth {
		switch strings.ToUpper(mechanism) {
		case "PLAIN":
			c.auth = smtp.PlainAuth("", c.cfg.Username, c.cfg.Password, c.cfg.Host, true)
			return c.auth.Start(server)
		case "LOGIN":
			c.auth = smtp.LoginAuth(c.cfg.Username, c.cfg.Password, c.cfg.Host, true)
		}
	}
	if c.auth == nil {
		return "", nil, errors.New("the server offers neither AUTH PLAIN nor LOGIN")
	}
	return c.auth.Start(server)
}

// Next implements [smtp.Auth].
func (c *credentials) Next(fromServer []byte, more bool) ([]byte, error) {
	return c.auth.Next(fromServer, more)
}

// message makes the mail (RFC 5322) of a letter.
func (s *SMTP) message(letter Letter, to string) (*gomail.Msg, error) {
	if letter.Subject == "" || strings.ContainsFunc(letter.Subject, control) || letter.Text == "" {
		return nil, permanent("no subject of one line, or no text")
	}
	id := letter.ID
	if id == "" {
		id = rand.Text()
	}
	if !idForm.MatchString(id) {
		return nil, permanent("an id that is none")
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP))
	m.FromMailAddress(s.from)
	m.ToMailAddress(&mail.Address{Address: to})
	m.Subject(literal(letter.Subject))
	m.SetDate()
	m.SetMessageIDWithValue(id + "@" + s.domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	m.SetBodyString(gomail.TypeTextPlain, letter.Text)
	if letter.HTML != "" {
		m.AddAlternativeString(gomail.TypeTextHTML, letter.HTML)
	}
	return m, nil
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,98}[A-Za-z0-9])?$`)

// recipient is the address of a letter with its domain in ASCII.
func recipient(to string) (string, error) {
	parsed, err := mail.ParseAddress(to)
	if err != nil || parsed.Name != "" || parsed.Address != to || strings.ContainsFunc(to, control) {
		return "", permanent("the recipient is no address")
	}
	address, err := asciiDomain(to)
	if err != nil {
		return "", permanent("the recipient has no valid domain")
	}
	return address, nil
}

// permanent is an [ErrPermanent] of this side.
func permanent(text string) error { return fmt.Errorf("%w: %s", ErrPermanent, text) }

// serverError is what a server answered. It does not tell whom the mail was to,
// for errors are kept.
type serverError struct {
	step      string
	cause     error
	permanent bool
	to        string
}

// refusal is the answer to what belongs to one mail: 5xx is for good.
func refusal(step string, cause error, to string) error {
	var answer *textproto.Error
	return &serverError{step: step, cause: cause, to: to,
		// 530 to 538 ask for credentials or TLS, which belong to the configuration.
		permanent: errors.As(cause, &answer) && answer.Code/100 == 5 && answer.Code/10 != 53}
}

func (e *serverError) Error() string {
	text := usertext.Clean(e.cause.Error(), 300)
	if e.to != "" {
		text = regexp.MustCompile(`(?i)`+regexp.QuoteMeta(e.to)).ReplaceAllString(text, "…")
	}
	return e.step + ": " + text
}

func (e *serverError) Unwrap() error { return e.cause }

// Is reports for [ErrPermanent] whether no further try can mend it.
func (e *serverError) Is(target error) bool { return target == ErrPermanent && e.permanent }
