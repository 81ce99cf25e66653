package endpoint

import (
	"encoding/json"
	"fmt"
	"reflect"

	"mana.how/edge/caddymodule/api/endpoint/decode"
	"mana.how/edge/caddymodule/api/endpoint/validate"
)

// Items are the objects of an array in a request, each of them a T that [ReadItems] reads.
type Items[T any] []json.RawMessage

// Item is the type of each, for the plan and the OpenAPI document.
func (Items[T]) Item() reflect.Type { return reflect.TypeFor[T]() }

// ReadItems reads the objects of an array, each as a body of its own whose unknown fields
// are refused. It fails with everything that is wrong with any, by the place of the item
// from 0 on.
func ReadItems[T any](c *Call, field string, list Items[T]) ([]T, error) {
	plan := validate.For(reflect.TypeFor[T]())
	read := make([]T, len(list))
	var faults []string
	for i, raw := range list {
		if len(faults) >= mostItemFaults {
			break
		}
		body, err := decode.JSON(raw)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s.%d must be an object", field, i))
			continue
		}
		for _, e := range plan.Fill(reflect.ValueOf(&read[i]).Elem(), validate.Input{Body: body, Service: c.Service}, true) {
			faults = append(faults, fmt.Sprintf("%s.%d.%s", field, i, e.Text))
		}
	}
	if len(faults) > 0 {
		return nil, Invalid(faults[:min(len(faults), mostItemFaults)]...)
	}
	return read, nil
}

// mostItemFaults bounds what is told of the items of one request.
const mostItemFaults = 20

// ItemError is why an item came to nothing, as the error of a request of its own tells it.
type ItemError struct {
	Message string `json:"message"`
	Code    string `json:"code"`
	Details any    `json:"details,omitempty"`
	// RetryAfterSec is there where the same item may be sent again, in seconds.
	RetryAfterSec int64 `json:"retryAfterSec,omitempty"`
	// RequestID names the line of the log, where the fault is the service's own.
	RequestID string `json:"requestId,omitempty"`
}

// ItemErrorOf words why an item came to nothing, with the status that a request of its own
// would have had.
func ItemErrorOf(c *Call, err error) (status int, told *ItemError) {
	e, requestID := c.server.errorOf(c.Request, c.route, err)
	body := e.Body("", c.Now())
	return e.Status, &ItemError{Message: e.Error(), Code: body.Code, Details: e.Details, RetryAfterSec: body.RetryAfterSec, RequestID: requestID}
}
