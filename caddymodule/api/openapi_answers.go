package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/creditcore"
)

// responses are the answer of success and the errors a route can give.
func responses(rt *route, s schemas, failure object) object {
	success := object{"description": "Success", "headers": rt.successHeaders()}
	content := func(status int) object {
		switch {
		case rt.shape == page:
			return object{"text/html": object{"schema": object{"type": "string"}}}
		case status == 402:
			return object{"application/json": object{"schema": s.insufficient(failure)}}
		}
		return object{"application/json": object{"schema": failure}}
	}
	switch {
	case rt.media != "":
		success["content"] = object{rt.media: object{"schema": object{"type": "string"}}}
	case rt.shape == page:
		success["content"] = content(200)
	default:
		success["content"] = object{"application/json": object{"schema": s.of(rt.handler.response)}}
	}
	out := object{strconv.Itoa(rt.success()): success}
	byStatus := rt.problemsByStatus()
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		out[strconv.Itoa(status)] = object{
			"description": describe(rt, byStatus[status]), "headers": refusalHeaders(byStatus[status]), "content": content(status),
		}
	}
	if rt.unready {
		out["503"] = object{"description": "Not ready", "content": success["content"]}
	}
	out["default"] = object{"description": "Any other error", "content": content(500)}
	if rt.shape == page && rt.media == "" {
		out["303"] = object{"description": "Go on to another page", "headers": object{
			"Location": headerObject("Where to go on to", "string")}}
	}
	return out
}

// problems are the refusals of a route that the document names.
func (rt *route) problems() []*problem {
	var list []*problem
	plan := rt.handler.plan
	refusesBody := rt.readsBody() && (rt.body != lenient || rt.shape != contract)
	switch {
	case refusesBody && rt.body == raw:
		list = append(list, tooLarge(maxRaw))
	case refusesBody:
		list = append(list, malformed("why"), invalid([]bodyFault{{text: "what is wrong with each field"}}), tooLarge(maxBody), unsupported("which types are supported"))
	case slices.ContainsFunc(plan.fields, func(f planField) bool { return f.source != fromBody }) && rt.body == strict:
		list = append(list, invalid([]bodyFault{{text: "what is wrong with each parameter"}}))
	}
	if plan.readsQuery {
		list = append(list, malformedQuery)
	}
	if rt.access == user || rt.access == userOrService {
		list = append(list, answerTo(errNoToken), errTokenInvalid, errTokenExpired)
	}
	if rt.access == service || rt.access == userOrService {
		list = append(list, errNoKey, errWrongKey)
	}
	if rt.access == cookie {
		list = append(list, answerTo(authcore.ErrSessionConflict))
	}
	if rt.charges {
		list = append(list, &problem{status: 402, code: "INSUFFICIENT_CREDITS", text: "Insufficient credits"},
			answerTo(creditcore.ErrAccountNotFound))
	}
	if rt.keyed() {
		list = append(list, answerTo(creditcore.ErrKeyReused))
	}
	if rt.access == cookie && rt.method != http.MethodGet || rt.shape == page && rt.method == http.MethodPost {
		list = append(list, errCSRF)
	}
	if rt.limit.count > 0 {
		list = append(list, &problem{status: 429, code: "RATE_LIMITED",
			text: fmt.Sprintf("More than %d requests in %v from one address", rt.limit.count, rt.limit.period)})
	}
	if rt.access != open {
		list = append(list, unavailable)
	}
	for _, f := range rt.faults {
		list = append(list, f.answer)
	}
	return append(list, rt.refusals...)
}

func (rt *route) problemsByStatus() map[int][]*problem {
	byStatus := map[int][]*problem{}
	for _, p := range rt.problems() {
		byStatus[p.status] = append(byStatus[p.status], p)
	}
	return byStatus
}

// keyed reports whether a repeated request under one idempotency key takes
// effect once.
func (rt *route) keyed() bool {
	return slices.ContainsFunc(rt.handler.plan.fields, func(f planField) bool {
		return f.source == fromBody && f.name == "idempotencyKey"
	})
}

// answerTo is the table's answer to an error of a core.
func answerTo(err error) *problem {
	for _, f := range faults {
		if errors.Is(err, f.err) {
			return f.answer
		}
	}
	panic("api: no answer to: " + err.Error())
}

// answersTo are those to several.
func answersTo(errs ...error) []*problem {
	list := make([]*problem, len(errs))
	for i, err := range errs {
		list[i] = answerTo(err)
	}
	return list
}

// describe says what a status means.
func describe(rt *route, problems []*problem) string { return strings.Join(lines(rt, problems), "; ") }

// lines are the codes of a status, each with its text, once.
func lines(rt *route, problems []*problem) (lines []string) {
	for _, p := range problems {
		code := p.code
		if rt.shape == native {
			code = nativeCode(p)
		}
		line := code + ": " + p.Error()
		if rt.shape == page {
			line = p.Error()
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// successHeaders are those of an answer beside the ones of HTTP itself.
func (rt *route) successHeaders() object {
	headers := object{}
	if rt.limit.count > 0 {
		headers["X-RateLimit-Limit"] = headerObject("Requests that one address may send in the period", "integer")
		headers["X-RateLimit-Remaining"] = headerObject("Requests that are left", "integer")
		headers["X-RateLimit-Reset"] = headerObject("Seconds until the period is over", "integer")
	}
	if rt.keyed() {
		headers["Idempotency-Replayed"] = headerObject("true on the answer to a request that was repeated", "string")
	}
	return headers
}

// refusalHeaders are those that come with the problems of one status.
func refusalHeaders(problems []*problem) object {
	headers := object{}
	for _, p := range problems {
		if p.retry > 0 || p.status == 429 {
			headers["Retry-After"] = headerObject("Seconds to wait before the next try", "integer")
		}
		if p == errTokenInvalid {
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
		"properties": object{"details": s.named("Shortfall", shortfallType)},
		"required":   []string{"details"},
	}}}
}
