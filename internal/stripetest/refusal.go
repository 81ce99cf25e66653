package stripetest

import (
	"fmt"
	"net/http"
)

// refusal is an answer of status 400 and above.
type refusal struct {
	status              int
	kind, code, message string
	param, decline      string
	intent              object // the payment that was tried; nil where none was
}

func (r *refusal) body() []byte {
	fields := object{"type": r.kind, "message": r.message, "request_log_url": "https://dashboard.stripe.com/test/logs"}
	for name, value := range map[string]string{
		"code": r.code, "param": r.param, "decline_code": r.decline,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	if r.intent != nil {
		fields["payment_intent"] = copied(r.intent)
		fields["charge"] = r.intent["latest_charge"]
	}
	if r.code != "" {
		fields["doc_url"] = "https://stripe.com/docs/error-codes/" + r.code
	}
	return encode(object{"error": fields})
}

// invalid is a request that cannot be carried out; param and code may be empty.
func invalid(code, param, format string, args ...any) *refusal {
	return &refusal{
		status: http.StatusBadRequest, kind: "invalid_request_error",
		code: code, param: param, message: fmt.Sprintf(format, args...),
	}
}

// missing is an id that nothing has. In the path it is 404, as a parameter 400.
func missing(status int, kind, id, param string) *refusal {
	r := invalid("resource_missing", param, "No such %s: '%s'", kind, id)
	r.status = status
	return r
}

// broken is the error of a failure that a test asked for.
func broken(status int) *refusal {
	r := &refusal{status: status, kind: "api_error", message: "An error occurred while processing your request."}
	switch {
	case status == http.StatusPaymentRequired:
		r.kind, r.code, r.decline, r.message = "card_error", "card_declined", "generic_decline", declined
	case status == http.StatusTooManyRequests:
		r.kind, r.code, r.message = "invalid_request_error", "rate_limit", "Too many requests hit the API too quickly."
	case status == http.StatusConflict:
		r.kind, r.code = "invalid_request_error", "lock_timeout"
		r.message = "This object cannot be accessed right now because another API request is currently accessing it."
	case status < http.StatusInternalServerError:
		r.kind, r.message = "invalid_request_error", "The request was refused."
	}
	return r
}

// declined is the text of a card that was.
const declined = "Your card was declined."
