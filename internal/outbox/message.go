package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Message is what is to be delivered.
type Message struct {
	ID       string // given by [Box.Put], in the slice that it gets; the same at each try
	Channel  string // which [Deliver] takes it, such as "mail"
	Kind     string // what it is about, for logs and metrics
	UserID   string // whom it concerns; may be empty
	Body     json.RawMessage
	Attempts int // tries begun, this one included
	// Queue holds the message up until those before it in the same queue of the channel
	// are sent or dead. Empty for none.
	Queue string
	// After is how long the first try waits, for whoever tries by themselves before.
	After     time.Duration
	CreatedAt time.Time
}

// Family are channels that come and go, named by the family, a colon and their
// member: a receiver each, so that one that hangs holds up no other.
type Family struct {
	Deliver Deliver
	// Members lists who has a channel. It is asked every [Config.Poll].
	Members func(context.Context) ([]string, error)
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
