package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/creditcore"
)

// problem is an answer other than the one wished for. Its texts go to the
// client as they are.
type problem struct {
	status int
	code   string
	text   string
	texts  []string // of a validation, instead of text
	// details go into the body of a contract error, where set.
	details any
	retry   time.Duration // Retry-After, where set
}

func (p *problem) Error() string {
	if len(p.texts) > 0 {
		return strings.Join(p.texts, ", ")
	}
	return p.text
}

// fault is a line of the table: the answer to an error of the core.
type fault struct {
	err    error
	answer *problem
}

// faults is the one table from errors of the cores to answers. The first line
// that fits counts, so wrapped errors stand before what they wrap. Clients
// match many of these texts: see section 14 of the wire contract.
var faults = []fault{
	{authcore.ErrInvalidCredentials, &problem{status: 401, code: "INVALID_CREDENTIALS", text: "Invalid email or password"}},
	{authcore.ErrTokenExpired, errTokenExpired},
	{authcore.ErrInvalidToken, errTokenInvalid},
	{errNoToken, &problem{status: 401, code: "NO_TOKEN", text: "No token provided"}},
	{authcore.ErrNoSession, &problem{status: 401, code: "NO_SESSION", text: "Invalid or expired session"}},
	{authcore.ErrSessionConflict, &problem{status: 409, code: "SESSION_CONFLICT",
		text: "Session conflict: two accounts are signed in at once, delete the cookies and sign in again"}},
	{authcore.ErrRefreshExpired, &problem{status: 401, code: "REFRESH_EXPIRED", text: "Refresh token expired"}},
	{authcore.ErrInvalidRefreshToken, &problem{status: 401, code: "INVALID_REFRESH_TOKEN", text: "Invalid refresh token"}},
	{authcore.ErrUserNotFound, &problem{status: 404, code: "USER_NOT_FOUND", text: "User not found"}},
	{authcore.ErrEmailTaken, &problem{status: 409, code: "EMAIL_TAKEN", text: "User with this email already exists"}},
	{authcore.ErrWrongPassword, &problem{status: 401, code: "WRONG_PASSWORD", text: "Password is incorrect"}},
	{authcore.ErrNoPassword, &problem{status: 404, code: "NO_PASSWORD", text: "No password credential found for this account"}},
	{authcore.ErrSessionNotFound, &problem{status: 404, code: "SESSION_NOT_FOUND", text: "Session not found"}},
	{authcore.ErrInvalidInput, &problem{status: 400, code: "INVALID_INPUT", text: "Invalid input"}},
	{authcore.ErrBusy, &problem{status: 503, code: "BUSY", text: "The server is busy, please retry", retry: 2 * time.Second}},
	{authcore.ErrUnavailable, unavailable},

	{creditcore.ErrAccountNotFound, &problem{status: 404, code: "BALANCE_NOT_FOUND", text: "User balance not found"}},
	{creditcore.ErrKeyRefunded, &problem{status: 409, code: "IDEMPOTENCY_KEY_REFUNDED", text: "The charge of the idempotency key was refunded"}},
	{creditcore.ErrKeyReused, &problem{status: 422, code: "IDEMPOTENCY_KEY_REUSED", text: "The idempotency key was used for another request"}},
	{creditcore.ErrEntryNotFound, &problem{status: 404, code: "TRANSACTION_NOT_FOUND", text: "Transaction not found"}},
	{creditcore.ErrRefundExceeds, &problem{status: 400, code: "REFUND_EXCEEDS_CHARGE", text: "Refund exceeds what was charged"}},
	{creditcore.ErrHoldNotFound, &problem{status: 404, code: "HOLD_NOT_FOUND", text: "Hold not found"}},
	{creditcore.ErrAmount, &problem{status: 400, code: "INVALID_AMOUNT", text: "The amount is not within what an account can hold"}},
	{creditcore.ErrInvalid, &problem{status: 400, code: "INVALID_INPUT", text: "Invalid input"}},
	{creditcore.ErrUnavailable, unavailable},
}

var (
	errNoToken            = errors.New("no bearer token")
	errTokenInvalid       = &problem{status: 401, code: "INVALID_TOKEN", text: "Invalid token"}
	errTokenExpired       = &problem{status: 401, code: "TOKEN_EXPIRED", text: "Invalid token"}
	malformedQuery        = &problem{status: 400, code: "MALFORMED_QUERY", text: "Malformed query"}
	errNoKey              = &problem{status: 401, code: "NO_SERVICE_KEY", text: "No service key provided"}
	errWrongKey           = &problem{status: 401, code: "INVALID_SERVICE_KEY", text: "Invalid service key"}
	errRegistrationClosed = &problem{status: 403, code: "REGISTRATION_CLOSED", text: "Registration is closed"}
	errCSRF               = &problem{status: 403, code: "CROSS_SITE", text: "Cross-site request refused"}
	errOrigin             = &problem{status: 403, code: "INVALID_ORIGIN", text: "Invalid origin"}
	errNoOrigin           = &problem{status: 403, code: "MISSING_OR_NULL_ORIGIN", text: "Missing or null Origin"}
)

const internalText = "Internal server error"

var (
	unavailable = &problem{status: 503, code: "UNAVAILABLE", text: "database connection unavailable, please retry", retry: 5 * time.Second}
)

func tooLarge(limit int64) *problem {
	return &problem{status: 413, code: "BODY_TOO_LARGE", text: fmt.Sprintf("Request body is larger than %d kB", limit>>10)}
}

func malformed(text string) *problem {
	return &problem{status: 400, code: "MALFORMED_BODY", text: "Malformed body: " + text}
}

func unsupported(text string) *problem {
	return &problem{status: 415, code: "UNSUPPORTED_MEDIA_TYPE", text: text}
}

func invalid(faults []bodyFault) *problem {
	p := &problem{status: 400, code: "VALIDATION_ERROR"}
	for _, f := range faults {
		p.texts = append(p.texts, f.text)
	}
	return p
}

// notInTable refuses a path that no route has or, where others of its methods
// do, the method (RFC 9110, section 15.5.6).
func notInTable(r *http.Request, methods []string) *problem {
	p := &problem{status: http.StatusNotFound, code: "NOT_FOUND", text: "Cannot " + printable(r.Method, 32) + " " + pathOf(r)}
	if len(methods) > 0 {
		p.status, p.code = http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"
	}
	return p
}

// pathOf is the path that an error names: without the query, which may hold
// secrets, and short.
func pathOf(r *http.Request) string { return printable(r.URL.EscapedPath(), 256) }

// panicError carries a panic's value and stack to the log.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, debug.Stack()) }

// problemOf finds the answer to an error. An unknown error is logged under an
// id, which the client gets instead of the error. rt may be nil.
func (a *api) problemOf(r *http.Request, rt *route, err error) (p *problem, requestID string) {
	p = known(rt, err)
	if p == nil && r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		p = &problem{status: 499, code: "CANCELED", text: "Request canceled"}
	}
	if p == nil {
		requestID = rand.Text()
		a.Logger.ErrorContext(r.Context(), "request failed", "route", rt.pattern(), "method", knownMethod(r.Method),
			"request_id", requestID, "error", err)
		p = &problem{status: 500, code: "INTERNAL", text: internalText}
	}
	if rt != nil && rt.recoverable && p.status >= 500 {
		again := *p
		again.text = "Request failed: " + p.text
		p = &again
	}
	return p, requestID
}

// known words the errors that are part of the contract.
func known(rt *route, err error) *problem {
	var p *problem
	var locked *authcore.LockedError
	var password *authcore.PasswordError
	var short *creditcore.InsufficientError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &locked):
		return &problem{status: 429, code: "ACCOUNT_LOCKED",
			text: "Too many failed sign-ins: rate limit exceeded, try again later", retry: locked.RetryAfter}
	case errors.As(err, &password):
		return refusedPassword("password", password)
	case errors.As(err, &short):
		return insufficient("Insufficient credits", short)
	}
	if rt != nil {
		for _, f := range rt.faults {
			if errors.Is(err, f.err) {
				return f.answer
			}
		}
	}
	for _, f := range faults {
		if errors.Is(err, f.err) {
			return f.answer
		}
	}
	return nil
}

// shortfall is what an account lacks, in the words of the shared client code.
type shortfall struct {
	Required   creditcore.Amount `json:"requiredCredits"`
	Available  creditcore.Amount `json:"availableCredits"`
	CreditType string            `json:"creditType"`
	Debt       creditcore.Amount `json:"debt,omitempty"` // owed beside that
}

// insufficient refuses what an account cannot pay.
func insufficient(text string, err *creditcore.InsufficientError) *problem {
	return &problem{status: http.StatusPaymentRequired, code: "INSUFFICIENT_CREDITS", text: text,
		details: shortfall{err.Required, err.Available, "user", err.Debt}}
}

// refusedPassword words the refusal of a new password as a validation of the
// field it came in.
func refusedPassword(field string, err *authcore.PasswordError) *problem {
	text, code := "is too common", "PASSWORD_TOO_COMMON"
	switch err.Reason {
	case authcore.PasswordTooShort:
		text, code = "must be longer than or equal to 8 characters", "VALIDATION_ERROR"
	case authcore.PasswordTooLong:
		text, code = "must be shorter than or equal to 128 characters", "VALIDATION_ERROR"
	}
	return &problem{status: 400, code: code, texts: []string{field + " " + text}}
}
