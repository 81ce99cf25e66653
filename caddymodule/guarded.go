package caddymodule

import (
	"errors"
	"net/http"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/guard"
)

var (
	refuseMethod = answer.Error{Status: http.StatusMethodNotAllowed, Message: "Method not allowed", Code: "METHOD_NOT_ALLOWED"}
	refuseTarget = answer.Error{Status: http.StatusBadRequest, Message: "Invalid request target", Code: "BAD_REQUEST"}
)

// refuseUnfit answers a request that the guard keeps from the app. On HTTP/1
// the connection ends: whoever stands before the edge may not agree with it
// where this request ended.
func refuseUnfit(w http.ResponseWriter, r *http.Request, err error) error {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	if errors.Is(err, guard.ErrMethod) {
		w.Header().Set("Allow", guard.Allowed)
		return refuseMethod.Write(w, r)
	}
	return refuseTarget.Write(w, r)
}
