package mail

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// Ways to encrypt, of [Config.TLS].
const (
	TLSImplicit = "implicit" // from the first byte, as on port 465
	TLSStart    = "starttls" // demanded before anything is said
	TLSNone     = "none"     // to the own machine only
)

// Config is how to reach an SMTP server.
type Config struct {
	Host string // name or address
	Port int    // 587
	// Username and Password, both or neither, are sent by AUTH PLAIN or LOGIN:
	// encrypted, or to the own machine.
	Username, Password string
	From               string // "Name <address>", or the address alone
	// TLS is TLSImplicit on port 465, else TLSStart. To a loopback host it is, but
	// on port 465, STARTTLS where the server offers it and nothing where not.
	TLS     string
	Timeout time.Duration  // 20 s, of one mail
	RootCAs *x509.CertPool // the system's; for servers with a certificate of a private authority
}

func (c Config) withDefaults() Config {
	if c.Port == 0 {
		c.Port = 587
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	if c.TLS == "" {
		switch {
		case c.Port == 465:
			c.TLS = TLSImplicit
		case !c.loopback():
			c.TLS = TLSStart
		}
	}
	return c
}

// Validate reports all that is wrong, each with the name of the field.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := checkHost(c.Host); err != nil {
		fault("host: %w", err)
	}
	if c.Port < 0 || c.Port > 65535 {
		fault("port: %d is none", c.Port)
	}
	if (c.Username == "") != (c.Password == "") {
		missing := "password"
		if c.Username == "" {
			missing = "username"
		}
		fault("%s: is missing, the other of the two is set", missing)
	}
	if strings.ContainsAny(c.Username+c.Password, "\x00\r\n") {
		fault("username, password: must be one line")
	}
	if _, err := parseSender(c.From); err != nil {
		fault("from: %w", err)
	}
	switch c.TLS {
	case "", TLSImplicit, TLSStart:
	case TLSNone:
		if !c.loopback() {
			fault("tls: %q is for a loopback host only", TLSNone)
		}
	default:
		fault("tls: %q is none of %s, %s, %s", c.TLS, TLSImplicit, TLSStart, TLSNone)
	}
	if c.Timeout < 0 {
		fault("timeout: is negative")
	}
	return errors.Join(faults...)
}

// loopback reports whether the host is named as one of this machine. That it is
// one is checked when it is reached.
func (c Config) loopback() bool {
	if c.Host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(c.Host)
	return err == nil && address.Unmap().IsLoopback()
}

func checkHost(host string) error {
	if host == "" {
		return errors.New("is missing")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return errors.New("has a port, which is a field of its own")
	}
	if _, err := domains.ToASCII(host); err != nil {
		return fmt.Errorf("%q is neither a name nor an address", host)
	}
	return nil
}

var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true),
	idna.CheckHyphens(false), idna.VerifyDNSLength(true), idna.Transitional(false))

// parseSender returns the address that mails come from, its domain in ASCII.
func parseSender(from string) (*mail.Address, error) {
	if from == "" {
		return nil, errors.New("is missing")
	}
	parsed, err := mail.ParseAddress(from)
	if err != nil || strings.ContainsFunc(from, control) {
		return nil, fmt.Errorf("%q is no address", from)
	}
	address, err := asciiDomain(parsed.Address)
	if err != nil || !ascii(address) {
		return nil, fmt.Errorf("%q is no address that every server takes", from)
	}
	return &mail.Address{Name: parsed.Name, Address: address}, nil
}

// asciiDomain is an address with its domain as A-labels (RFC 5890).
func asciiDomain(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return "", errors.New("no address")
	}
	domain, err := domains.ToASCII(address[at+1:])
	if err != nil {
		return "", err
	}
	return address[:at+1] + domain, nil
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e })
}

func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' }
