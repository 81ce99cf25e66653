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
	// ErrInvalidToken covers every access token that does not verify.
	ErrInvalidToken = errors.New("Invalid token")
	// ErrTokenExpired wraps ErrInvalidToken. Its text carries the phrases on
	// which clients refresh.
	ErrTokenExpired error = &tokenError{`jwt expired: "exp" claim timestamp check failed`}
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
	// ErrBusy means that the queue of password hashes did not move in time.
	ErrBusy = errors.New("too many password hashes at once")
)

var (
	// Guards forward these texts to browsers, which refresh on "invalid token".
	errSignature    = &tokenError{"Invalid token: signature verification failed"}
	errMalformed    = &tokenError{"Invalid token: Invalid Compact JWS"}
	errTokenRevoked = &tokenError{"Invalid token: session revoked"}
	errAlgorithm    = &tokenError{`Invalid token: "alg" (Algorithm) Header Parameter value not allowed`}
	// errUnknownKey says "invalid token" so that clients refresh: the key of a
	// token is gone only after the token expired.
	errUnknownKey = &tokenError{"Invalid token: no applicable key found in the JSON Web Key Set"}
)

// tokenError is a kind of ErrInvalidToken with a text of its own.
type tokenError struct{ text string }

func (e *tokenError) Error() string { return e.text }
func (e *tokenError) Unwrap() error { return ErrInvalidToken }

// ClaimError tells which claim of a well-signed token was refused. It wraps
// [ErrInvalidToken]. Missing is set where the token lacks the claim.
type ClaimError struct {
	Claim   string
	Missing bool
}

func (e *ClaimError) Error() string {
	switch {
	case e.Missing:
		return fmt.Sprintf("missing required %q claim", e.Claim)
	case e.Claim == "iat" || e.Claim == "nbf":
		return fmt.Sprintf("%q claim timestamp check failed", e.Claim)
	}
	return fmt.Sprintf("unexpected %q claim value", e.Claim)
}

func (e *ClaimError) Unwrap() error { return ErrInvalidToken }

// LockedError refuses a sign-in to an account with too many wrong tries, until
// RetryAfter has passed.
type LockedError struct{ RetryAfter time.Duration }

func (e *LockedError) Error() string {
	return "Too many failed sign-ins: rate limit exceeded, try again later"
}

// Reasons of a [PasswordError], fit to be shown.
const (
	PasswordTooShort = "Password must be at least 8 characters long"
	PasswordTooLong  = "Password must be at most 128 characters long"
	PasswordCommon   = "Password is too common"
)

// PasswordError refuses a new password. Reason is one of the constants above.
type PasswordError struct{ Reason string }

func (e *PasswordError) Error() string { return e.Reason }
