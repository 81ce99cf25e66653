package verifier

import (
	"errors"
	"fmt"
)

var (
	// ErrNoSession means that no cookie names a live session.
	ErrNoSession = errors.New("Invalid or expired session")
	// ErrSessionConflict means that the cookies name live sessions of several
	// users. A host below the cookie domain can plant one of its own beside the
	// user's, and nobody can tell which is whose.
	ErrSessionConflict = errors.New("Session conflict")
	// ErrNoCookie wraps ErrNoSession: there is not even a cookie with its
	// signature.
	ErrNoCookie = fmt.Errorf("%w: no signed cookie", ErrNoSession)
)
