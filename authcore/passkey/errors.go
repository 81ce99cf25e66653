package passkey

import (
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"

	"mana.how/edge/internal/usertext"
)

var (
	// ErrFailed means that a response proves nothing. Its text is part of the wire
	// contract; the reason is in [Failure], for the log.
	ErrFailed = errors.New("Passkey verification failed")
	// ErrState means that a state is missing, expired, not of this relying party's
	// making, or of another ceremony or user.
	ErrState = errors.New("invalid or expired passkey state")
	// ErrUsed means that the challenge of a state was answered before.
	ErrUsed = errors.New("the passkey challenge was answered before")
	// ErrCloned means that the counter of an authenticator did not grow: there may
	// be a copy of it. The error is a [ClonedError].
	ErrCloned = errors.New("the counter of the passkey went back")
	// ErrNotFound means that the user has no such passkey, or none at all.
	ErrNotFound = errors.New("Passkey not found")
	// ErrExists means that the passkey is registered already, for whomever.
	ErrExists = errors.New("the passkey is registered already")
	// ErrTooMany means that the user has [MaxPerUser] passkeys.
	ErrTooMany = errors.New("too many passkeys for one account")
	// ErrInvalidInput means that a field cannot be taken; the text names it.
	ErrInvalidInput = errors.New("Invalid input")
)

// Failure is an [ErrFailed] with its reason, which is not for who tries.
type Failure struct{ Reason error }

func (f *Failure) Error() string { return ErrFailed.Error() }

func (f *Failure) Unwrap() []error { return []error{ErrFailed, f.Reason} }

// ClonedError is an [ErrCloned], and an [ErrFailed] for who tries.
type ClonedError struct {
	PasskeyID string
	UserID    string
	Stored    uint32 // counter of the last use
	Sent      uint32 // counter of this one
}

func (e *ClonedError) Error() string { return ErrFailed.Error() }

func (e *ClonedError) Unwrap() []error { return []error{ErrCloned, ErrFailed} }

// maxDetail bounds what a log is told of a response, in bytes.
const maxDetail = 300

// failed is a [Failure]. The library keeps what it compared beside its text.
func failed(reason error) error {
	var detailed *protocol.Error
	if errors.As(reason, &detailed) && detailed.DevInfo != "" {
		reason = fmt.Errorf("%w (%s)", reason, usertext.Clean(detailed.DevInfo, maxDetail))
	}
	return &Failure{Reason: reason}
}
