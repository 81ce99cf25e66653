package token

import (
	"errors"
	"fmt"
)

// The texts are part of the wire contract; test with [errors.Is], never by
// text.
var (
	// ErrInvalid covers every access token that does not verify.
	ErrInvalid = errors.New("Invalid token")
	// ErrExpired wraps ErrInvalid. Its text carries the phrases on which clients
	// refresh.
	ErrExpired error = &invalid{`jwt expired: "exp" claim timestamp check failed`}
)

var (
	// Guards forward these texts to browsers, which refresh on "invalid token".
	errSignature = &invalid{"Invalid token: signature verification failed"}
	errMalformed = &invalid{"Invalid token: Invalid Compact JWS"}
	// ErrRevoked means that the session, the user or the key was revoked.
	ErrRevoked   = &invalid{"Invalid token: session revoked"}
	errAlgorithm = &invalid{`Invalid token: "alg" (Algorithm) Header Parameter value not allowed`}
	errType      = &invalid{`Invalid token: unexpected "typ" JWT header value`}
	// ErrUnknownKey says "invalid token" so that clients refresh: the key of a
	// token is gone only after the token expired.
	ErrUnknownKey = &invalid{"Invalid token: no applicable key found in the JSON Web Key Set"}
)

// invalid is a kind of ErrInvalid with a text of its own.
type invalid struct{ text string }

func (e *invalid) Error() string { return e.text }
func (e *invalid) Unwrap() error { return ErrInvalid }

// ClaimError tells which claim of a well-signed token was refused. It wraps
// [ErrInvalid]. Missing is set where the token lacks the claim.
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

func (e *ClaimError) Unwrap() error { return ErrInvalid }
