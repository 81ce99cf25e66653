package authcore

import (
	"errors"
	"fmt"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/keyring"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/refreshtoken"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/verifier"
)

// Errors of the core. The texts of those that clients match are part of the
// wire contract; test with [errors.Is], never by text.
var (
	ErrInvalidCredentials = account.ErrInvalidCredentials
	// ErrEmailNotVerified means that the password is right, and the address is not
	// proven where it must be.
	ErrEmailNotVerified = account.ErrEmailNotVerified
	// ErrNoSession means that no cookie names a live session.
	ErrNoSession = verifier.ErrNoSession
	// ErrSessionConflict means that the cookies name live sessions of several
	// users. A host below the cookie domain can plant one of its own beside the
	// user's, and nobody can tell which is whose.
	ErrSessionConflict = verifier.ErrSessionConflict
	// ErrNoCookie wraps ErrNoSession: there is not even a cookie with its
	// signature.
	ErrNoCookie            = verifier.ErrNoCookie
	ErrInvalidRefreshToken = refreshtoken.ErrInvalid
	ErrRefreshExpired      = errors.New("Refresh token expired")
	// ErrRefreshReused wraps ErrInvalidRefreshToken, whose text clients get.
	ErrRefreshReused   = fmt.Errorf("%w: used before, family revoked", ErrInvalidRefreshToken)
	ErrUserNotFound    = account.ErrNotFound
	ErrEmailTaken      = account.ErrEmailTaken
	ErrWrongPassword   = errors.New("Password is incorrect")
	ErrNoPassword      = errors.New("No password credential found for this account")
	ErrSessionNotFound = session.ErrNotFound
	ErrKeyNotFound     = keyring.ErrNotFound
	ErrInvalidInput    = account.ErrInvalidInput
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
	// ErrPasswordsOff means that the service is signed in to by providers alone.
	ErrPasswordsOff = errors.New("Sign-in with a password is switched off here")
	// ErrRegistrationClosed means that nobody makes an account.
	ErrRegistrationClosed = errors.New("Registration is closed")
	// ErrUnknownProvider means that there is no such provider here.
	ErrUnknownProvider = errors.New("Provider not found")
	// ErrLinkedElsewhere means that an account of a provider is another user's.
	ErrLinkedElsewhere = errors.New("This account of the provider is linked to another user")
	// ErrAccountNotFound means that the caller has no such account of a provider.
	ErrAccountNotFound = errors.New("Account not found")
	// ErrTooManyAccounts means that the caller has as many as there may be.
	ErrTooManyAccounts = errors.New("Too many accounts of providers")
	// ErrUnavailable means that PostgreSQL cannot be reached.
	ErrUnavailable = account.ErrUnavailable
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

// ProviderError means that a sign-in with a provider came to nothing, for a reason
// that is in the log of events.
type ProviderError struct {
	Provider string
	Reason   provider.Reason
}

func (e *ProviderError) Error() string { return "Sign-in with the provider failed" }

// EmailRequiredError means that a provider knows no address of somebody who has no
// account yet. Token takes one, within ExpiresIn: see
// [Service.CompleteProviderAddress].
type EmailRequiredError struct {
	Token     string
	Provider  string
	ExpiresIn time.Duration
}

func (e *EmailRequiredError) Error() string { return "An e-mail address is required" }

// LockedError refuses a sign-in to an account with too many wrong tries.
type LockedError = lockout.Error
