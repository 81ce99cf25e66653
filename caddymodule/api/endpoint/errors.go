package endpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/token"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/api/endpoint/decode"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// Error is an answer other than the one asked for. Its texts go to the client
// as they are.
type Error = answer.Error

// Mapping is the answer to an error of a core.
type Mapping struct {
	Err    error
	Answer *Error
}

// The answers that several resources give.
var (
	ErrTokenInvalid        = &Error{Status: 401, Code: "INVALID_TOKEN", Message: "Invalid token"}
	ErrTokenExpired        = &Error{Status: 401, Code: "TOKEN_EXPIRED", Message: "Invalid token"}
	ErrMalformedQuery      = &Error{Status: 400, Code: "MALFORMED_QUERY", Message: "Malformed query"}
	ErrRegistrationClosed  = &Error{Status: 403, Code: "REGISTRATION_CLOSED", Message: "Registration is closed"}
	ErrCrossSite           = &Error{Status: 403, Code: "CROSS_SITE", Message: "Cross-site request refused"}
	ErrResetToken          = &Error{Status: 401, Code: "INVALID_RESET_TOKEN", Message: "Invalid or expired reset token"}
	ErrSecondFactorNeeded  = &Error{Status: 409, Code: "TWO_FACTOR_REQUIRED", Message: "Two-factor authentication required"}
	ErrNotRecent           = &Error{Status: 403, Code: "REAUTHENTICATION_REQUIRED", Message: "Recent authentication required"}
	ErrSecondFactorMissing = &Error{Status: 403, Code: "SECOND_FACTOR_REQUIRED", Message: "Second factor required: set one up on the account page"}
	ErrPasskeyFailed       = &Error{Status: 401, Code: "PASSKEY_VERIFICATION_FAILED", Message: "Passkey verification failed"}
	ErrProviderFailed      = &Error{Status: 401, Code: "PROVIDER_FAILED", Message: "Sign-in with the provider failed"}
	ErrProviderDenied      = &Error{Status: 401, Code: "PROVIDER_DENIED", Message: "The user cancelled the sign-in at the provider"}
	ErrProviderExpired     = &Error{Status: 401, Code: "PROVIDER_EXPIRED", Message: "The sign-in with the provider is over or was begun elsewhere: begin again"}
	ErrProviderUnavailable = &Error{Status: 503, Code: "PROVIDER_UNAVAILABLE", Message: "The provider does not answer, please retry", RetryAfter: 30 * time.Second}
	ErrLocked              = &Error{Status: 429, Code: "ACCOUNT_LOCKED", Message: "Too many failed sign-ins: rate limit exceeded, try again later"}
	ErrAccountDisabled     = &Error{Status: 403, Code: "ACCOUNT_DISABLED", Message: "The account is disabled"}
	ErrAccountNotLinked    = &Error{Status: 403, Code: "ACCOUNT_NOT_LINKED", Message: "The account of the provider is not linked to the user"}
	ErrEmailRequired       = &Error{Status: 409, Code: "EMAIL_REQUIRED", Message: "The provider knows no e-mail address: sign in on the website once"}
	ErrUnavailable         = &Error{Status: 503, Code: "UNAVAILABLE", Message: "database connection unavailable, please retry", RetryAfter: 5 * time.Second}
)

// common is the one table from errors of the cores to answers. The first line
// that fits counts, so wrapped errors stand before what they wrap. Clients
// match many of these texts, so they do not change.
var common = []Mapping{
	{authcore.ErrInvalidCredentials, &Error{Status: 401, Code: "INVALID_CREDENTIALS", Message: "Invalid email or password"}},
	{authcore.ErrSecondFactorFailed, &Error{Status: 401, Code: "TWO_FACTOR_FAILED", Message: "Invalid two-factor code"}},
	{authcore.ErrSecondFactorExpired, &Error{Status: 401, Code: "TWO_FACTOR_EXPIRED", Message: "Two-factor authentication expired: sign in again"}},
	{authcore.ErrInvitation, &Error{Status: 403, Code: "INVALID_INVITATION", Message: "Invalid or expired invitation"}},
	{authcore.ErrInvitationRequired, ErrRegistrationClosed},
	{authcore.ErrRegistrationClosed, ErrRegistrationClosed},
	{authcore.ErrPasswordsOff, &Error{Status: 403, Code: "PASSWORDS_OFF", Message: "Sign-in with a password is switched off here: use a provider"}},
	{authcore.ErrUnknownProvider, &Error{Status: 404, Code: "PROVIDER_NOT_FOUND", Message: "Provider not found"}},
	{authcore.ErrLinkedElsewhere, &Error{Status: 409, Code: "ACCOUNT_LINKED_ELSEWHERE", Message: "This account of the provider is linked to another user"}},
	{authcore.ErrAccountNotFound, &Error{Status: 404, Code: "ACCOUNT_NOT_FOUND", Message: "Account not found"}},
	{authcore.ErrTooManyAccounts, &Error{Status: 409, Code: "TOO_MANY_ACCOUNTS", Message: "A user has 20 accounts of providers at most"}},
	{authcore.ErrSecondFactorMissing, ErrSecondFactorMissing},
	{authcore.ErrInvalidCode, &Error{Status: 401, Code: "INVALID_CODE", Message: "Invalid or expired code"}},
	{authcore.ErrSameEmail, &Error{Status: 400, Code: "SAME_EMAIL", Message: "This is the address of the account already"}},
	{twofactor.ErrEnabled, &Error{Status: 400, Code: "TWO_FACTOR_ALREADY_ENABLED", Message: "Two-factor authentication is enabled already"}},
	{twofactor.ErrNotEnabled, &Error{Status: 400, Code: "TWO_FACTOR_NOT_ENABLED", Message: "Two-factor authentication is not enabled"}},
	{challenge.ErrTooMany, &Error{Status: 429, Code: "TOO_MANY_MAILS", Message: "Too many mails: rate limit exceeded, try again later", RetryAfter: time.Hour}},
	{authcore.ErrNoPasskeys, &Error{Status: 404, Code: "PASSKEYS_UNAVAILABLE", Message: "Passkeys are not available here"}},
	{passkey.ErrExists, &Error{Status: 409, Code: "PASSKEY_EXISTS", Message: "This passkey is registered already"}},
	{passkey.ErrTooMany, &Error{Status: 409, Code: "TOO_MANY_PASSKEYS", Message: "An account has 20 passkeys at most"}},
	{passkey.ErrNotFound, &Error{Status: 404, Code: "PASSKEY_NOT_FOUND", Message: "Passkey not found"}},
	{passkey.ErrInvalidInput, &Error{Status: 400, Code: "INVALID_INPUT", Message: "The name must be one line of at most 100 characters"}},
	{authcore.ErrLastCredential, &Error{Status: 409, Code: "LAST_CREDENTIAL", Message: "The last way to sign in cannot be removed"}},
	{passkey.ErrFailed, ErrPasskeyFailed},
	{passkey.ErrState, ErrPasskeyFailed},
	{passkey.ErrUsed, ErrPasskeyFailed},
	{authcore.ErrEmailNotVerified, &Error{Status: 403, Code: "EMAIL_NOT_VERIFIED", Message: "Email not verified"}},
	{challenge.ErrUnknown, ErrResetToken},
	{challenge.ErrExpired, ErrResetToken},
	{token.ErrExpired, ErrTokenExpired},
	{token.ErrInvalid, ErrTokenInvalid},
	{request.ErrNoToken, &Error{Status: 401, Code: "NO_TOKEN", Message: "No token provided"}},
	{authcore.ErrNoSession, &Error{Status: 401, Code: "NO_SESSION", Message: "Invalid or expired session"}},
	{authcore.ErrSessionConflict, &Error{Status: 409, Code: "SESSION_CONFLICT",
		Message: "Session conflict: two accounts are signed in at once, delete the cookies and sign in again"}},
	{authcore.ErrRefreshExpired, &Error{Status: 401, Code: "REFRESH_EXPIRED", Message: "Refresh token expired"}},
	{authcore.ErrInvalidRefreshToken, &Error{Status: 401, Code: "INVALID_REFRESH_TOKEN", Message: "Invalid refresh token"}},
	{authcore.ErrUserNotFound, &Error{Status: 404, Code: "USER_NOT_FOUND", Message: "User not found"}},
	{authcore.ErrEmailTaken, &Error{Status: 409, Code: "EMAIL_TAKEN", Message: "User with this email already exists"}},
	{authcore.ErrWrongPassword, &Error{Status: 401, Code: "WRONG_PASSWORD", Message: "Password is incorrect"}},
	{authcore.ErrNoPassword, &Error{Status: 404, Code: "NO_PASSWORD", Message: "No password credential found for this account"}},
	{authcore.ErrSessionNotFound, &Error{Status: 404, Code: "SESSION_NOT_FOUND", Message: "Session not found"}},
	{authcore.ErrInvalidInput, &Error{Status: 400, Code: "INVALID_INPUT", Message: "Invalid input"}},
	{password.ErrBusy, &Error{Status: 503, Code: "BUSY", Message: "The server is busy, please retry", RetryAfter: 2 * time.Second}},
	{authcore.ErrUnavailable, ErrUnavailable},

	{creditcore.ErrAccountNotFound, &Error{Status: 404, Code: "BALANCE_NOT_FOUND", Message: "User balance not found"}},
	{creditcore.ErrToppedUp, &Error{Status: 409, Code: "AUTO_TOP_UP_ON", Message: "The threshold is that of the automatic top-up: change it there"}},
	{creditcore.ErrNotMember, &Error{Status: 403, Code: "ORG_REQUIRED", Message: "Not a member of the organization"}},
	{creditcore.ErrNoAllotment, &Error{Status: 404, Code: "ALLOTMENT_NOT_FOUND", Message: "Allotment not found, or no such member"}},
	{creditcore.ErrKeyRefunded, &Error{Status: 409, Code: "IDEMPOTENCY_KEY_REFUNDED", Message: "The charge of the idempotency key was refunded"}},
	{creditcore.ErrKeyReused, &Error{Status: 422, Code: "IDEMPOTENCY_KEY_REUSED", Message: "The idempotency key was used for another request"}},
	{creditcore.ErrEntryNotFound, &Error{Status: 404, Code: "TRANSACTION_NOT_FOUND", Message: "Transaction not found"}},
	{creditcore.ErrRefundExceeds, &Error{Status: 400, Code: "REFUND_EXCEEDS_CHARGE", Message: "Refund exceeds what was charged"}},
	{creditcore.ErrHoldNotFound, &Error{Status: 404, Code: "HOLD_NOT_FOUND", Message: "Hold not found"}},
	{creditcore.ErrAmount, &Error{Status: 400, Code: "INVALID_AMOUNT", Message: "The amount is not within what an account can hold"}},
	{creditcore.ErrInvalid, &Error{Status: 400, Code: "INVALID_INPUT", Message: "Invalid input"}},
	{creditcore.ErrUnavailable, ErrUnavailable},
}

const internalText = "Internal server error"

// Invalid refuses a request with what is wrong with its fields.
func Invalid(texts ...string) *Error {
	return &Error{Status: 400, Code: "VALIDATION_ERROR", Messages: texts}
}

// TooLarge refuses a body of more than a limit of bytes.
func TooLarge(limit int64) *Error {
	return &Error{Status: 413, Code: "BODY_TOO_LARGE", Message: fmt.Sprintf("Request body is larger than %d kB", limit>>10)}
}

// Malformed refuses a body that cannot be read.
func Malformed(err decode.MalformedError) *Error {
	return &Error{Status: 400, Code: "MALFORMED_BODY", Message: err.Error()}
}

// Unsupported refuses a body of another type than those of the API.
func Unsupported(text string) *Error {
	return &Error{Status: 415, Code: "UNSUPPORTED_MEDIA_TYPE", Message: text}
}

// notInTable refuses a path that no route has or, where others of its methods
// do, the method (RFC 9110, section 15.5.6).
func notInTable(r *http.Request, methods []string) *Error {
	e := &Error{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "Cannot " + request.Printable(r.Method, 32) + " " + pathOf(r)}
	if len(methods) > 0 {
		e.Status, e.Code = http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"
	}
	return e
}

// pathOf is the path that an error names: without the query, which may hold
// secrets, and short.
func pathOf(r *http.Request) string { return request.Printable(r.URL.EscapedPath(), 256) }

// panicError carries a panic's value and stack to the log.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, debug.Stack()) }

// errorOf finds the answer to an error. An unknown error is logged under an
// id, which the client gets instead of the error. rt may be nil.
func (s *server) errorOf(r *http.Request, rt *Route, err error) (e *Error, requestID string) {
	e = known(rt, err)
	if e == nil && r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		e = &Error{Status: 499, Code: "CANCELED", Message: "Request canceled"}
	}
	if e == nil {
		requestID = rand.Text()
		s.Logger.ErrorContext(r.Context(), "request failed", "route", rt.pattern(), "method", knownMethod(r.Method),
			"request_id", requestID, "error", err)
		e = &Error{Status: 500, Code: "INTERNAL", Message: internalText}
	}
	if rt != nil && rt.Recoverable && e.Status >= 500 {
		again := *e
		again.Message = "Request failed: " + e.Message
		e = &again
	}
	return e, requestID
}

// known words the errors that clients are told of.
func known(rt *Route, err error) *Error {
	var e *Error
	var malformed decode.MalformedError
	var locked *authcore.LockedError
	var password *password.Error
	var short *creditcore.InsufficientError
	var factor *authcore.SecondFactorError
	var recent *authcore.ReauthenticationError
	var refused *authcore.ProviderError
	var address *authcore.EmailRequiredError
	switch {
	case errors.As(err, &factor):
		return detailed(ErrSecondFactorNeeded, FactorChallenge{factor.Challenge, factor.Methods, int64(factor.ExpiresIn.Seconds())})
	case errors.As(err, &recent):
		return detailed(ErrNotRecent, FactorMethods{recent.Methods})
	case errors.As(err, &e):
		return e
	case errors.As(err, &refused):
		return ofProvider(refused.Reason)
	case errors.As(err, &address):
		return ErrEmailRequired
	case errors.As(err, &malformed):
		return Malformed(malformed)
	case errors.As(err, &locked):
		told := *ErrLocked
		told.RetryAfter = locked.RetryAfter
		return &told
	case errors.As(err, &password):
		return PasswordRefused("password", password)
	case errors.As(err, &short):
		return Insufficient("Insufficient credits", short)
	}
	if rt != nil {
		if e := find(rt.Mappings, err); e != nil {
			return e
		}
	}
	return find(common, err)
}

// ofProvider says what came of a sign-in with a provider. Why exactly is in the log.
func ofProvider(reason provider.Reason) *Error {
	switch reason {
	case provider.Unavailable, provider.Keys:
		return ErrProviderUnavailable
	case provider.Denied:
		return ErrProviderDenied
	case authcore.ReasonState, authcore.ReasonSessionOver:
		return ErrProviderExpired
	case authcore.ReasonDisabledAccount:
		return ErrAccountDisabled
	case authcore.ReasonNotLinked:
		return ErrAccountNotLinked
	}
	return ErrProviderFailed
}

// detailed is an answer with what one request is told beside it.
func detailed(e *Error, details any) *Error {
	told := *e
	told.Details = details
	return &told
}

func find(table []Mapping, err error) *Error {
	for _, m := range table {
		if errors.Is(err, m.Err) {
			return m.Answer
		}
	}
	return nil
}

// AnswerTo is the common answer to an error of a core, for the document. A core
// error without one is a programming error and panics.
func AnswerTo(err error) *Error {
	if e := find(common, err); e != nil {
		return e
	}
	panic("endpoint: no answer to: " + err.Error())
}

// AnswersTo are those to several.
func AnswersTo(errs ...error) []*Error {
	list := make([]*Error, len(errs))
	for i, err := range errs {
		list[i] = AnswerTo(err)
	}
	return list
}

// FactorChallenge is what a client needs to come with a second factor. ExpiresIn
// is in seconds.
type FactorChallenge struct {
	Challenge string                `json:"challenge"`
	Methods   []authcore.FactorKind `json:"methods"`
	ExpiresIn int64                 `json:"expiresIn"`
}

// FactorMethods are the ways to show once more who one is.
type FactorMethods struct {
	Methods []authcore.FactorKind `json:"methods"`
}

// Shortfall is what an account lacks, in the words of the shared client code.
type Shortfall struct {
	Required   creditcore.Amount `json:"requiredCredits"`
	Available  creditcore.Amount `json:"availableCredits"`
	CreditType string            `json:"creditType"`
	Debt       creditcore.Amount `json:"debt,omitempty"` // owed beside that
	// Limit is allotment where it is what a member may spend of an organisation's.
	Limit string `json:"limit,omitempty"`
}

// Insufficient refuses what an account cannot pay.
func Insufficient(text string, err *creditcore.InsufficientError) *Error {
	return &Error{Status: http.StatusPaymentRequired, Code: "INSUFFICIENT_CREDITS", Message: text,
		Details: Shortfall{err.Required, err.Available, err.CreditType(), err.Debt, err.Limit()}}
}

// PasswordRefused words the refusal of a new password as a validation of the
// field it came in.
func PasswordRefused(field string, err *password.Error) *Error {
	text, code := "is too common", "PASSWORD_TOO_COMMON"
	switch err.Reason {
	case password.InBreach:
		text, code = "was found in a data breach", "PASSWORD_BREACHED"
	case password.TooShort:
		text, code = "must be longer than or equal to 8 characters", "VALIDATION_ERROR"
	case password.TooLong:
		text, code = "must be shorter than or equal to 128 characters", "VALIDATION_ERROR"
	}
	return &Error{Status: 400, Code: code, Messages: []string{field + " " + text}}
}
