package mail

import (
	"context"
	"errors"
)

// Letter is a mail to one address.
type Letter struct {
	// ID makes the Message-ID: letters and digits, - and dots. A mail that is
	// sent again under the same ID is shown once by most programs. Empty is a new
	// one.
	ID      string
	To      string // the address alone; its domain may be international
	Subject string
	Text    string
	HTML    string // empty for a mail of text alone
	Kind    string
	Links   []string // those that Text holds
}

// Sender sends mails.
type Sender interface {
	// Send returns when the server has taken the mail. An error that is
	// [ErrPermanent] comes again at each further try.
	Send(context.Context, Letter) error
}

// ErrPermanent is what an error is ([errors.Is]) that no further try can mend:
// the server refused this mail for good, or it cannot be sent as it is.
// Everything else may pass, wrong credentials too, for those are mended by the
// administrator and not the fault of the mail.
var ErrPermanent = errors.New("the mail cannot be sent")
