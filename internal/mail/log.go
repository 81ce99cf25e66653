package mail

import (
	"context"
	"log/slog"
)

// Log is the sender where there is no SMTP server: it writes mails to the log,
// with their links, for whoever runs the edge on their own machine.
type Log struct{ Logger *slog.Logger }

// Send writes the letter to the log. It never fails.
func (l Log) Send(ctx context.Context, letter Letter) error {
	l.Logger.WarnContext(ctx, "MAIL NOT SENT: no smtp server is configured; this is what it says",
		"kind", letter.Kind, "to", letter.To, "subject", letter.Subject, "links", letter.Links, "text", letter.Text)
	return nil
}

// Interface guards
var (
	_ Sender = Log{}
	_ Sender = (*SMTP)(nil)
)
