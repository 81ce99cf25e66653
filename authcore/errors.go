package authcore

import (
	"errors"
	"fmt"
	"time"
)

// Errors of the core. The texts of those that clients match are part of the
// wire contract; test with [errors.Is], never by text.
var (
	ErrInvalidCredentials = errors.New("Invalid email or password")
	// ErrEmailNotVerified means that the password is right, and the address is not
	// proven where it must be.
	ErrEmailNotVerified = errors.New("Email not verified")
	// ErrNoSession means that no cookie names a live session.
	ErrNoSession = errors.New("Invalid or expired session")
	// ErrSessionConflict means that the cookies name live sessions of several
	// users. A host below the cookie domain can plant one of its own beside the
	// user's, and nobody can tell which is whose.
	ErrSessionConflict = errors.New("Session conflict")
	// ErrNoCookie wraps ErrNoSession: there is not even a cookie with its
	// signature.
	ErrNoCookie            = fmt.Errorf("%w: no signed cookie", ErrNoSession)
	ErrInvalidRefreshToken = errors.New("Invalid refresh token")
	ErrRefreshExpired      = errors.New("Refresh token expired")
	// ErrRefreshReused wraps ErrInvalidRefreshToken, whose text clients get.
	ErrRefreshReused   = fmt.Errorf("%w: used before, family revoked", ErrInvalidRefreshToken)
	ErrUserNotFound    = errors.New("User not found")
	ErrEmailTaken      = errors.New("User with this email already exists")
	ErrWrongPassword   = errors.New("Password is incorrect")
	ErrNoPassword      = errors.New("No password credential found for this account")
	ErrSessionNotFound = errors.New("Session not found")
	ErrKeyNotFound     = errors.New("no signing key has this id")
	ErrInvalidInput    = errors.New("Invalid input")
	// ErrUnavailable means that PostgreSQL cannot be reached.
	ErrUnavailable = errors.New("database connection unavailable")
)

// LockedError refuses a sign-in to an account with too many wrong tries, until
// RetryAfter has passed.
type LockedError struct{ RetryAfter time.Duration }

func (e *LockedError) Error() string {
	return "Too many failed sign-ins: rate limit exceeded, try again later"
}
