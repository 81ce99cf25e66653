package doctor

import (
	"context"
	"time"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/mail"
)

// mailWait bounds the conversation with the mail server.
const mailWait = 20 * time.Second

// mail examines the mail server.
func (d *doctor) mail(s config.Settings) {
	if !s.SMTP.IsSet() {
		text := "not configured: mails are written to the log, with their links"
		if s.VerificationRequired {
			text += "; email_verification is required, so nobody else can finish a registration"
		}
		d.warn("smtp", "%s", text)
		return
	}
	sender, err := mail.NewSMTP(s.SMTP.Config())
	if err == nil {
		ctx, cancel := context.WithTimeout(d.Ctx, mailWait)
		defer cancel()
		err = sender.Check(ctx)
	}
	if err != nil {
		d.fail("smtp", "%v; mails wait and are tried again for three days", err)
		return
	}
	d.ok("smtp", "%s answers and takes the account", s.SMTP.Host)
}
