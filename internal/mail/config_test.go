package mail_test

import (
	"strings"
	"testing"

	"mana.how/edge/internal/mail"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	good := mail.Config{Host: "mx.mana.example", From: "ManaCore <noreply@mana.example>", Username: "u", Password: "p"}
	for name, c := range map[string]struct {
		change func(*mail.Config)
		want   string // fields that are named; none for no error
	}{
		"as it is":              {func(*mail.Config) {}, ""},
		"address":               {func(c *mail.Config) { c.Host = "2001:db8::1" }, ""},
		"international":         {func(c *mail.Config) { c.Host, c.From = "mx.müller.example", "noreply@müller.example" }, ""},
		"no credentials":        {func(c *mail.Config) { c.Username, c.Password = "", "" }, ""},
		"implicit":              {func(c *mail.Config) { c.TLS = mail.TLSImplicit }, ""},
		"none, localhost":       {func(c *mail.Config) { c.Host, c.TLS = "localhost", mail.TLSNone }, ""},
		"none, 127.0.0.2":       {func(c *mail.Config) { c.Host, c.TLS = "127.0.0.2", mail.TLSNone }, ""},
		"none, ::1":             {func(c *mail.Config) { c.Host, c.TLS = "::1", mail.TLSNone }, ""},
		"none, ::ffff:7f00:1":   {func(c *mail.Config) { c.Host, c.TLS = "::ffff:127.0.0.1", mail.TLSNone }, ""},
		"none, elsewhere":       {func(c *mail.Config) { c.TLS = mail.TLSNone }, "tls"},
		"none, like localhost":  {func(c *mail.Config) { c.Host, c.TLS = "localhost.evil.example", mail.TLSNone }, "tls"},
		"none, private":         {func(c *mail.Config) { c.Host, c.TLS = "10.0.0.1", mail.TLSNone }, "tls"},
		"tls":                   {func(c *mail.Config) { c.TLS = "ssl" }, "tls"},
		"no host":               {func(c *mail.Config) { c.Host = "" }, "host"},
		"host with port":        {func(c *mail.Config) { c.Host = "mx.mana.example:25" }, "host"},
		"host with URL":         {func(c *mail.Config) { c.Host = "smtp://mx.mana.example" }, "host"},
		"host with a break":     {func(c *mail.Config) { c.Host = "mx\r\nQUIT" }, "host"},
		"port":                  {func(c *mail.Config) { c.Port = 65536 }, "port"},
		"negative port":         {func(c *mail.Config) { c.Port = -1 }, "port"},
		"no password":           {func(c *mail.Config) { c.Password = "" }, "password"},
		"no username":           {func(c *mail.Config) { c.Username = "" }, "username"},
		"password with a break": {func(c *mail.Config) { c.Password = "p\n" }, "password"},
		"no sender":             {func(c *mail.Config) { c.From = "" }, "from"},
		"sender without domain": {func(c *mail.Config) { c.From = "noreply" }, "from"},
		"sender with a break":   {func(c *mail.Config) { c.From = "a@b.example\r\nBcc: x@y.example" }, "from"},
		"international sender":  {func(c *mail.Config) { c.From = "zoë@mana.example" }, "from"},
		"timeout":               {func(c *mail.Config) { c.Timeout = -1 }, "timeout"},
		"all": {func(c *mail.Config) {
			*c = mail.Config{Port: -1, Username: "u", TLS: "x", Timeout: -1}
		}, "host port password from tls timeout"},
	} {
		cfg := good
		c.change(&cfg)
		err := cfg.Validate()
		var named []string
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				field, _, _ := strings.Cut(line, ":")
				named = append(named, field)
			}
		}
		switch got := strings.Join(named, " "); {
		case c.want == "" && err != nil, c.want != "" && got != c.want && got != "username, "+c.want:
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if _, errNew := mail.NewSMTP(cfg); (errNew == nil) != (err == nil) {
			t.Errorf("%s: NewSMTP says %v", name, errNew)
		}
		if err != nil && strings.Contains(err.Error(), "p\n") && name == "password with a break" {
			t.Errorf("%s: tells the password", name)
		}
	}
}
