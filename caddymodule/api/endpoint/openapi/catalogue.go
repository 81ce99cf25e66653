package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
)

// CodedError is a code by which clients know a refusal, with all that the table says of
// it.
type CodedError struct {
	Code     string
	Statuses []int
	Texts    []string // of people; the code stays, they may change
	Routes   int      // that may answer so
	// Native are the codes in its place under /api/auth, in the words of the library
	// that answered there before.
	Native []string
}

// Errors are the refusals of the routes that are no pages, by their codes.
func Errors(table []endpoint.Route) []CodedError {
	found := make(map[string]*CodedError)
	for i := range table {
		rt := &table[i]
		if rt.Format == endpoint.Page || rt.Format == endpoint.OAuth {
			continue
		}
		counted := make(map[string]bool)
		for _, e := range errorsOf(rt) {
			c := found[e.Code]
			if c == nil {
				c = &CodedError{Code: e.Code}
				found[e.Code] = c
			}
			if !counted[e.Code] {
				c.Routes++
				counted[e.Code] = true
			}
			add(&c.Statuses, e.Status)
			if e.Code != "RATE_LIMITED" { // whose text has the numbers of a route
				add(&c.Texts, e.Error())
			}
			if native := endpoint.BetterAuthCode(e); rt.Format == endpoint.BetterAuth && native != e.Code && native != "" && e.Code != "RATE_LIMITED" {
				add(&c.Native, native)
			}
		}
	}
	list := make([]CodedError, 0, len(found))
	for _, code := range slices.Sorted(maps.Keys(found)) {
		slices.Sort(found[code].Statuses)
		list = append(list, *found[code])
	}
	return list
}

func add[T comparable](list *[]T, value T) {
	if !slices.Contains(*list, value) {
		*list = append(*list, value)
	}
}

// advice is what a client should do about a code, where the status does not say it.
var advice = map[string]string{
	"INVALID_CREDENTIALS":       "ask for address and password again",
	"WRONG_PASSWORD":            "ask for the password again",
	"INVALID_REFRESH_TOKEN":     "forget the tokens and lead to the sign-in",
	"REFRESH_EXPIRED":           "forget the tokens and lead to the sign-in",
	"NO_SESSION":                "lead to the sign-in",
	"INVALID_CODE":              "ask for the code again",
	"TWO_FACTOR_FAILED":         "ask for the code again",
	"TWO_FACTOR_REQUIRED":       "ask for the second factor and send it with the challenge",
	"TWO_FACTOR_EXPIRED":        "begin the sign-in again",
	"REAUTHENTICATION_REQUIRED": "ask who they are by one of details.methods, send it to POST /api/v1/auth/reauthenticate, and try again",
	"SECOND_FACTOR_REQUIRED":    "lead to the account page, where a second factor is set up",
	"EMAIL_NOT_VERIFIED":        "offer to send the mail again (POST /api/v1/auth/resend-verification)",
	"PROOF_OF_WORK_REQUIRED":    "solve a challenge of GET /api/v1/auth/challenge and send it along",
	"SCOPE_REQUIRED":            "use a key that has the scope",
	"SERVICE_KEY_REQUIRED":      "send the service key",
	"CARD_REQUIRED":             "have the user save a card (POST /api/v1/credits/auto-top-up/card)",
	"CONSENT_REQUIRED":          "ask the user, and send consent: true",
	"AUTO_TOP_UP_ON":            "change the threshold with PUT /api/v1/credits/auto-top-up",
	"ACCOUNT_LOCKED":            "wait for Retry-After",
	"SESSION_CONFLICT":          "have the user delete the cookies and sign in again",
	"IDEMPOTENCY_KEY_REUSED":    "make another key: this one was used for another request",
	"IDEMPOTENCY_KEY_REFUNDED":  "make another key",
	"MALFORMED_BODY":            "send well-formed JSON or a form",
	"VALIDATION_ERROR":          "mend the fields that message names, a list",
}

// Advice is what a client should do about an error.
func (c CodedError) Advice() string {
	if text, is := advice[c.Code]; is {
		return text
	}
	if len(c.Statuses) == 0 {
		return ""
	}
	switch status := c.Statuses[0]; {
	case status == http.StatusUnauthorized:
		return "renew the access token once and try again; else lead to the sign-in"
	case status == http.StatusPaymentRequired:
		return "say what is lacking (details) and offer to buy"
	case status == http.StatusForbidden:
		return "say so: asking again does not help"
	case status == http.StatusNotFound:
		return "treat it as gone"
	case status == http.StatusConflict:
		return "read the present state, and ask the user"
	case status == http.StatusTooManyRequests:
		return "wait for Retry-After, then try again"
	case status >= http.StatusInternalServerError:
		return "wait for Retry-After or a moment, then try again"
	}
	return "mend the request"
}

// Markdown is the catalogue as a table of Markdown.
func Markdown(list []CodedError) string {
	var b strings.Builder
	b.WriteString("| Code | Status | Text | What to do | Routes |\n|---|---|---|---|---|\n")
	for _, c := range list {
		code := "`" + c.Code + "`"
		if len(c.Native) > 0 {
			code += " (under `/api/auth` also `" + strings.Join(c.Native, "`, `") + "`)"
		}
		texts := strings.ReplaceAll(strings.Join(c.Texts, " · "), "|", "\\|")
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d |\n", code, joinStatuses(c.Statuses), texts, c.Advice(), c.Routes)
	}
	return b.String()
}

func joinStatuses(statuses []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(statuses), " ", ", "), "[]")
}
