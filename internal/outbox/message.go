package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Message is what is to be delivered.
type Message struct {
	ID       string // given by [Box.Put]; the same at each try
	Channel  string // which [Deliver] takes it, such as "mail"
	Kind     string // what it is about, for logs and metrics
	UserID   string // whom it concerns; may be empty
	Body     json.RawMessage
	Attempts int // tries begun, this one included
	// After is how long the first try waits, for whoever tries by themselves before.
	After     time.Duration
	CreatedAt time.Time
}

// Deliver delivers a message of one channel. Its context ends after
// [Config.Timeout]. An error is followed by another try, unless it is
// [Permanent]. A try may follow one that succeeded, see the package comment.
type Deliver func(context.Context, Message) error

// Sealer encrypts bodies at rest, and opens what an older key has sealed.
// additional is authenticated with the text: the id of the message.
type Sealer interface {
	Seal(plain, additional []byte) ([]byte, error)
	Open(sealed, additional []byte) ([]byte, error)
}

// Permanent marks an error of a delivery that no further try can mend.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// IsPermanent reports whether an error was marked by [Permanent].
func IsPermanent(err error) bool { return errors.As(err, new(permanentError)) }
