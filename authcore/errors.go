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
	// ErrSecondFactorFailed means that the code of a second factor was wrong, and
	// ErrSecondFactorExpired that there is nothing to be met any more: the sign-in
	// must begin again.
	ErrSecondFactorFailed  = errors.New("Invalid two-factor code")
	ErrSecondFactorExpired = errors.New("Two-factor authentication expired: sign in again")
	// ErrSecondFactorMissing means that the account must set a second factor up
	// first.
	ErrSecondFactorMissing = errors.New("Second factor required")
	// ErrInvalidCode means that a mailed code is wrong, or good no more.
	ErrInvalidCode = errors.New("Invalid or expired code")
	// ErrSameEmail means that the account has the address already.
	ErrSameEmail = errors.New("This is the address of the account already")
	// ErrUnavailable means that PostgreSQL cannot be reached.
	ErrUnavailable = errors.New("database connection unavailable")
)

// SecondFactorError means that the first factor was right and another is asked
// for: one of Methods, with the challenge, within ExpiresIn.
type SecondFactorError struct {
	Challenge string
	Methods   []FactorKind
	ExpiresIn time.Duration
}

func (e *SecondFactorError) Error() string { return "Two-factor authentication required" }

// ReauthenticationError refuses what wants a recent proof of who the caller is:
// by any of Methods, as [Service.Reauthenticate] takes them.
type ReauthenticationError struct{ Methods []FactorKind }

func (e *ReauthenticationError) Error() string { return "Recent authentication required" }

// LockedError refuses a sign-in to an account with too many wrong tries, until
// RetryAfter has passed.
type LockedError struct{ RetryAfter time.Duration }

func (e *LockedError) Error() string {
	return "Too many failed sign-ins: rate limit exceeded, try again later"
}
