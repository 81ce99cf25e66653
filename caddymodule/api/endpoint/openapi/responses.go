package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/password"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// responses are the answer of success and the errors a route can give.
func responses(rt *endpoint.Route, s schemas, failure object) object {
	success := object{"description": "Success", "headers": successHeaders(rt)}
	content := func(status int) object {
		switch {
		case rt.Format == endpoint.Page:
			return object{"text/html": object{"schema": object{"type": "string"}}}
		case status == 402:
			return object{"application/json": object{"schema": s.insufficient(failure)}}
		case rt.Found: // shown to who navigates
			return object{"application/json": object{"schema": failure}, "text/html": object{"schema": object{"type": "string"}}}
		}
		return object{"application/json": object{"schema": failure}}
	}
	switch {
	case rt.Handler.Response == reflect.TypeFor[endpoint.NoContent](), rt.Writes == reflect.TypeFor[endpoint.NoContent]():
	case rt.Writes != nil:
		success["content"] = object{"application/json": s.media(rt.Writes)}
	case rt.Media == "application/json": // a document that is written as it is read
		success["content"] = object{rt.Media: object{"schema": object{"type": "object", "additionalProperties": true}}}
		if rt.Found {
			success["content"].(object)["text/html"] = object{"schema": object{"type": "string"}}
		}
	case rt.Media != "":
		success["content"] = object{rt.Media: object{"schema": object{"type": "string"}}}
	case rt.Format == endpoint.Page:
		success["content"] = content(200)
	default:
		success["content"] = object{"application/json": s.media(rt.Handler.Response)}
	}
	out := object{strconv.Itoa(rt.Success()): success}
	byStatus := ErrorsByStatus(rt)
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		out[strconv.Itoa(status)] = object{
			"description": describe(rt, byStatus[status]), "headers": refusalHeaders(byStatus[status]), "content": content(status),
		}
		if media, is := out[strconv.Itoa(status)].(object)["content"].(object)["application/json"].(object); is {
			media["examples"] = errorExamples(rt, byStatus[status])
		}
	}
	if rt.Unready {
		out["503"] = object{"description": "Not ready", "content": success["content"]}
	}
	out["default"] = object{"description": "Any other error", "content": content(500)}
	if rt.Found && rt.Format != endpoint.Page {
		out["302"] = object{"description": "Go on to another page", "headers": object{"Location": headerObject("Where to go on to", "string")}}
	}
	if rt.Format == endpoint.Page && (rt.Media == "" || rt.Access == endpoint.Cookie || rt.Method == http.MethodPost) {
		onward := object{"description": "Go on to another page", "headers": object{
			"Location": headerObject("Where to go on to", "string")}}
		if out["303"] = onward; rt.Found {
			out["302"] = onward
		}
	}
	return out
}

// errorsOf are the errors of a route that the document names.
func errorsOf(rt *endpoint.Route) []*endpoint.Error {
	var list []*endpoint.Error
	plan := rt.Handler.Plan
	refusesBody := rt.ReadsBody() && (rt.Body != endpoint.Lenient || rt.Format != endpoint.Legacy)
	switch {
	case refusesBody && rt.Body == endpoint.Raw:
		list = append(list, endpoint.TooLarge(endpoint.MaxRaw))
	case rt.Body == endpoint.Stream:
	case refusesBody:
		list = append(list, endpoint.Malformed("why"), endpoint.Invalid("what is wrong with each field"), endpoint.TooLarge(rt.MostBody()), endpoint.Unsupported("which types are supported"))
	case slices.ContainsFunc(plan.Fields, func(f validate.Field) bool { return f.Source != validate.FromBody }) && rt.Body == endpoint.Strict:
		list = append(list, endpoint.Invalid("what is wrong with each parameter"))
	}
	if plan.ReadsQuery {
		list = append(list, endpoint.ErrMalformedQuery)
	}
	if rt.Access == endpoint.User || rt.Access == endpoint.UserOrService {
		list = append(list, endpoint.AnswerTo(request.ErrNoToken), endpoint.ErrTokenInvalid, endpoint.ErrTokenExpired, endpoint.ErrKeyRefused)
	}
	if rt.Access == endpoint.Service || rt.Access == endpoint.UserOrService {
		list = append(list, endpoint.ErrNoServiceKey, endpoint.ErrWrongServiceKey, endpoint.ErrServiceScope)
	}
	if own := rt.Unauthenticated; own != nil {
		list = slices.DeleteFunc(list, func(e *endpoint.Error) bool {
			return e.Status == own.Status && e.Code != "INVALID_TOKEN" && e.Code != "TOKEN_EXPIRED"
		})
		list = append(list, own)
	}
	if rt.Access == endpoint.Cookie {
		list = append(list, endpoint.AnswerTo(authcore.ErrSessionConflict))
	}
	if (rt.Access == endpoint.User || rt.Access == endpoint.UserOrService || rt.Access == endpoint.Cookie && rt.Format != endpoint.Page) && !rt.Enrolling {
		list = append(list, endpoint.ErrSecondFactorMissing)
	}
	if rt.ProofOfWork {
		list = append(list, endpoint.ErrWorkRequired)
	}
	if rt.Charges {
		list = append(list, &endpoint.Error{Status: 402, Code: "INSUFFICIENT_CREDITS", Message: "Insufficient credits"},
			endpoint.AnswerTo(creditcore.ErrAccountNotFound))
	}
	if rt.Keyed() {
		list = append(list, endpoint.AnswerTo(creditcore.ErrKeyReused))
	}
	if rt.Access == endpoint.Cookie && rt.Method != http.MethodGet || rt.Format == endpoint.Page && rt.Method == http.MethodPost {
		list = append(list, endpoint.ErrCrossSite)
	}
	if rt.Limit.Count > 0 {
		list = append(list, &endpoint.Error{Status: 429, Code: "RATE_LIMITED",
			Message: fmt.Sprintf("More than %d requests in %v from one address", rt.Limit.Count, rt.Limit.Period)})
	}
	if rt.Access != endpoint.Open {
		list = append(list, endpoint.ErrUnavailable)
	}
	for _, m := range rt.Mappings {
		list = append(list, m.Answer)
	}
	list = append(list, rt.Errors...)
	if slices.ContainsFunc(list, func(e *endpoint.Error) bool { return slices.Contains(guessable, e.Code) }) {
		list = append(list, endpoint.ErrLocked)
	}
	for _, f := range plan.Fields {
		if f.Name == "newPassword" || f.Name == "password" && strings.Contains(rt.Path, "/register") {
			list = append(list, endpoint.PasswordRefused(f.Name, &password.Error{}), endpoint.PasswordRefused(f.Name, &password.Error{Reason: password.InBreach}))
		}
	}
	return list
}

// guessable are the codes of a wrong try, of which there may be only so many.
var guessable = []string{"INVALID_CREDENTIALS", "WRONG_PASSWORD", "TWO_FACTOR_FAILED", "INVALID_CODE"}

// ErrorsByStatus are the errors of a route that the document names.
func ErrorsByStatus(rt *endpoint.Route) map[int][]*endpoint.Error {
	byStatus := map[int][]*endpoint.Error{}
	for _, p := range errorsOf(rt) {
		byStatus[p.Status] = append(byStatus[p.Status], p)
	}
	return byStatus
}

// describe says what a status means.
func describe(rt *endpoint.Route, errs []*endpoint.Error) string {
	return strings.Join(Lines(rt, errs), "; ")
}

// Lines are the codes of a status, each with its text, once.
func Lines(rt *endpoint.Route, errs []*endpoint.Error) (lines []string) {
	for _, p := range errs {
		code := p.Code
		if rt.Format == endpoint.BetterAuth {
			code = endpoint.BetterAuthCode(p)
		}
		if rt.Format == endpoint.OAuth {
			code = endpoint.OAuthCode(p)
		}
		line := code + ": " + p.Error()
		if rt.Format == endpoint.Page {
			line = p.Error()
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// successHeaders are those of an answer beside the ones of HTTP itself.
func successHeaders(rt *endpoint.Route) object {
	headers := object{}
	if rt.Limit.Count > 0 {
		headers["X-RateLimit-Limit"] = headerObject("Requests that one address may send in the period", "integer")
		headers["X-RateLimit-Remaining"] = headerObject("Requests that are left", "integer")
		headers["X-RateLimit-Reset"] = headerObject("Seconds until the period is over", "integer")
	}
	if rt.Keyed() {
		headers["Idempotency-Replayed"] = headerObject("true on the answer to a request that was repeated", "string")
	}
	return headers
}

// refusalHeaders are those that come with the errs of one status.
func refusalHeaders(errs []*endpoint.Error) object {
	headers := object{}
	for _, p := range errs {
		if p.RetryAfter > 0 || p.Status == 429 {
			headers["Retry-After"] = headerObject("Seconds to wait before the next try", "integer")
		}
		if p == endpoint.ErrTokenInvalid {
			headers["WWW-Authenticate"] = headerObject("The scheme to authenticate by (RFC 6750, section 3)", "string")
		}
	}
	return headers
}

func headerObject(description, kind string) object {
	return object{"description": description, "schema": object{"type": kind}}
}

// insufficient is the error of status 402: the failure, with what is lacking.
func (s schemas) insufficient(failure object) object {
	return object{"allOf": []any{failure, object{
		"type":       "object",
		"properties": object{"details": s.of(reflect.TypeFor[endpoint.Shortfall]())},
		"required":   []string{"details"},
	}}}
}

// errorExamples are the bodies of refusals, by their codes.
func errorExamples(rt *endpoint.Route, errs []*endpoint.Error) object {
	examples := object{}
	for _, e := range errs {
		code, details := e.Code, any(nil)
		if e.Status == http.StatusPaymentRequired {
			details = object{"requiredCredits": 5, "availableCredits": 2.5, "creditType": "user"}
		}
		var body object
		switch rt.Format {
		case endpoint.OAuth:
			code = endpoint.OAuthCode(e)
			body = object{"error": code, "error_description": e.Error()}
		case endpoint.BetterAuth:
			code = endpoint.BetterAuthCode(e)
			body = object{"message": e.Error(), "code": code, "error": answer.ErrorOf(code)}
		default:
			body = object{"statusCode": e.Status, "message": e.Error(), "timestamp": "2026-01-02T15:04:05.000Z", "path": rt.Path, "error": answer.ErrorOf(code), "code": code}
			if e.Messages != nil {
				body["message"] = e.Messages
			}
		}
		if details != nil {
			body["details"] = details
		}
		if _, there := examples[code]; !there {
			examples[code] = object{"value": body}
		}
	}
	return examples
}
