package manaid

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// APIError is a refusal of the API. Every other error of [Client] is the network's.
type APIError struct {
	Status  int
	Code    string // one of docs/errors.md; stays, while texts may change
	Message string
	// RetryAfter is how long to wait before another try, zero where nothing was said.
	RetryAfter time.Duration
	Details    json.RawMessage
}

// Error implements error.
func (e *APIError) Error() string {
	return fmt.Sprintf("mana edge: %d %s: %s", e.Status, e.Code, e.Message)
}

// UnauthorizedError means that the token or key is none that counts: refresh it, or
// sign in again.
type UnauthorizedError struct{ *APIError }

// Unwrap gives the refusal.
func (e *UnauthorizedError) Unwrap() error { return e.APIError }

// InsufficientCreditsError means that an account cannot pay.
type InsufficientCreditsError struct {
	*APIError
	Required, Available float64 // credits
}

// Unwrap gives the refusal.
func (e *InsufficientCreditsError) Unwrap() error { return e.APIError }

// RateLimitedError means that there were too many requests: try again after
// RetryAfter.
type RateLimitedError struct{ *APIError }

// Unwrap gives the refusal.
func (e *RateLimitedError) Unwrap() error { return e.APIError }

// errorOf is the error of an answer.
func errorOf(resp *http.Response, body []byte) error {
	e := &APIError{Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)}
	var said struct {
		Code    string          `json:"code"`
		Message json.RawMessage `json:"message"`
		Details json.RawMessage `json:"details"`
	}
	if json.Unmarshal(body, &said) == nil {
		e.Code, e.Details = said.Code, said.Details
		var several []string
		if json.Unmarshal(said.Message, &several) == nil {
			e.Message = strings.Join(several, "; ")
		} else {
			_ = json.Unmarshal(said.Message, &e.Message)
		}
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	switch e.Status {
	case http.StatusUnauthorized:
		return &UnauthorizedError{e}
	case http.StatusPaymentRequired:
		var lacks struct {
			Required  float64 `json:"requiredCredits"`
			Available float64 `json:"availableCredits"`
		}
		_ = json.Unmarshal(e.Details, &lacks)
		return &InsufficientCreditsError{e, lacks.Required, lacks.Available}
	case http.StatusTooManyRequests:
		return &RateLimitedError{e}
	}
	return e
}
