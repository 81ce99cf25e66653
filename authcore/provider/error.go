package provider

import (
	"errors"
	"fmt"
)

// Reason is why nobody was signed in, in one word for the log of events.
type Reason string

// The reasons.
const (
	// Unavailable: the provider does not answer, or not in a way that can be read.
	Unavailable Reason = "unavailable"
	// Denied: the user said no, at the provider.
	Denied Reason = "denied"
	// Failed: the provider says that something went wrong.
	Failed Reason = "provider_error"
	// Issuer: the answer, or the token, is another provider's.
	Issuer Reason = "issuer"
	// Code: the provider does not take the code.
	Code Reason = "code"
	// NoToken: there is no ID token in the answer, or one that is too long.
	NoToken Reason = "no_id_token"
	// Token: the ID token is malformed, or of an algorithm that is not taken.
	Token Reason = "id_token"
	// Signature: none of the provider's keys has signed the ID token.
	Signature Reason = "signature"
	// Keys: the keys of the provider cannot be had, or are too many.
	Keys Reason = "keys"
	// Audience: the ID token is for somebody else.
	Audience Reason = "audience"
	// Expired: the ID token is too old.
	Expired Reason = "expired"
	// Clock: the ID token comes from the future, or says not when it was made.
	Clock Reason = "clock"
	// Nonce: the ID token belongs to another sign-in.
	Nonce Reason = "nonce"
	// Stale: the user has not just shown the provider who they are.
	Stale Reason = "stale"
	// Claims: what the provider says of the user cannot be read.
	Claims Reason = "claims"
)

// Error says why nobody was signed in. Its text is for the log.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

func failf(reason Reason, format string, args ...any) *Error {
	return &Error{reason, fmt.Errorf(format, args...)}
}

// because gives an error a reason, unless it has one.
func because(reason Reason, err error) error {
	if errors.As(err, new(*Error)) {
		return err
	}
	return &Error{reason, err}
}
