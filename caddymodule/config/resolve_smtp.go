package config

import (
	"strconv"

	"mana.how/edge/internal/mail"
)

// replacedSMTPHost is the server that the replaced service took where its
// variables named none.
const replacedSMTPHost = "smtp-relay.brevo.com"

// SMTP is the mail server. Without one mails go to the log.
type SMTP struct {
	Host      string // empty without a server
	Port      int
	Username  string
	Password  Secret
	From      string
	Templates string // directory, empty for those of this program
}

// IsSet reports whether there is a mail server.
func (s SMTP) IsSet() bool { return s.Host != "" }

// Config is that of the sender.
func (s SMTP) Config() mail.Config {
	return mail.Config{Host: s.Host, Port: s.Port, Username: s.Username, Password: s.Password.Reveal(), From: s.From}
}

// smtp resolves the mail server. Variables of the replaced service count as one
// where they hold an account, as they did there.
func (r *resolver) smtp(c *SMTPConfig) SMTP {
	account := r.env.Get("SMTP_USER") != "" && r.env.Get("SMTP_PASSWORD") != ""
	if c == nil && !account {
		return SMTP{}
	}
	if c == nil {
		c = new(SMTPConfig)
	}
	host := r.value("smtp", c.Host, "SMTP_HOST")
	if host.text == "" && account {
		host.text = replacedSMTPHost
	}
	s := SMTP{
		Host: host.text, Username: r.value("smtp", c.Username, "SMTP_USER").text, Password: NewSecret(r.value("smtp", c.Password, "SMTP_PASSWORD").text),
		From: r.value("smtp", c.From, "SMTP_FROM").text, Templates: r.expand("smtp", c.Templates),
	}
	if port := r.value("smtp", c.Port, "SMTP_PORT").text; port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || !isPort(port) {
			r.fault("smtp", "port %q is not a port number", port)
			n = 0
		}
		s.Port = n
	}
	if host.text == "" {
		r.fault("smtp", "host: missing")
	} else if err := s.Config().Validate(); err != nil {
		r.fault("smtp", "%w", err)
	}
	if _, err := mail.NewTemplates(s.Templates); err != nil {
		r.fault("smtp", "templates: %w", err)
	}
	return s
}

// verification reports whether addresses must be proven.
func (r *resolver) verification(raw string, smtp SMTP) bool {
	switch verification := r.expand("email_verification", raw); verification {
	case "":
		return smtp.IsSet()
	case "required":
		return true
	case "optional":
	default:
		r.fault("email_verification", "%q is neither required nor optional", verification)
	}
	return false
}

// hashable are the settings of mail, for [Settings.Key].
func (s SMTP) hashable() []string {
	return []string{s.Host, strconv.Itoa(s.Port), s.Username, s.Password.Reveal(), s.From, s.Templates}
}
