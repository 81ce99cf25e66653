package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"mana.how/edge/caddymodule/api"
)

// described is the OpenAPI document as a validator that is not ours reads it.
var described = sync.OnceValues(func() (routers.Router, error) {
	cfg, deps := settings(nil, nil)
	raw, err := documentOf(cfg, deps)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(openapi3.NewLoader().Context); err != nil {
		return nil, err
	}
	doc.Servers = nil // the tests ask another host
	return gorillamux.NewRouter(doc)
})

// enough bounds how many requests of one route and status, and of one test, are
// held against the document: the validator compiles a schema for each.
const enough = 4

var examined sync.Map // of route, status and test, how many

// seldom reports whether the answer is one of the first of its kind in the test.
func seldom(t testing.TB, method, path string, status int) bool {
	n, _ := examined.LoadOrStore(fmt.Sprint(method, path, status, t.Name()), new(atomic.Int32))
	return n.(*atomic.Int32).Add(1) <= enough
}

// describedAs holds a request and its answer against the document: every
// answer is one that the document has, with its body; what succeeded was a
// right request, and what was refused as invalid was a wrong one.
func describedAs(t testing.TB, req *http.Request, body []byte, w *httptest.ResponseRecorder) {
	t.Helper()
	router, err := described()
	if err != nil {
		t.Fatalf("the document: %v", err)
	}
	asked := req.Clone(t.Context())
	asked.Body = io.NopCloser(bytes.NewReader(body))
	asked.URL.Path, asked.URL.RawPath = strings.TrimSuffix(asked.URL.Path, "/"), strings.TrimSuffix(asked.URL.RawPath, "/")
	route, params, err := router.FindRoute(asked)
	if err != nil {
		return // of a method or path that the document does not have
	}
	status := w.Code
	if route.Operation.Responses.Value(strconv.Itoa(status)) == nil && !slices.Contains([]int{499, 500}, status) {
		t.Errorf("%s %s: the document has no answer of status %d: %s", req.Method, route.Path, status, w.Body)
	}
	if media := w.Header().Get("Content-Type"); !strings.HasPrefix(media, "application/json") && w.Body.Len() > 0 {
		if r := route.Operation.Responses.Value(strconv.Itoa(status)); r != nil && r.Value.Content.Get(media) == nil {
			t.Errorf("%s %s: the document has no %s of status %d", req.Method, route.Path, media, status)
		}
		return
	}
	if !seldom(t, req.Method, route.Path, status) {
		return
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: false}
	input := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route, Options: options}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: status, Header: w.Header(), Options: options,
		Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())),
	}
	if w.Body.Len() > 0 {
		if err := openapi3filter.ValidateResponse(t.Context(), answer); err != nil {
			t.Errorf("%s %s answers %d with %s, which the document does not describe: %v", req.Method, route.Path, status, w.Body, reason(err))
		}
	}
	if slices.ContainsFunc(table(), func(row api.Row) bool {
		return row.Lenient && row.Method == req.Method && row.Path == route.Path
	}) {
		return // takes whatever comes
	}
	if len(body) > 2<<10 {
		return // the validator quotes what it refuses, over and over
	}
	wrong := openapi3filter.ValidateRequest(t.Context(), input)
	switch {
	case wrong != nil && status < 300 && !converted(wrong):
		t.Errorf("%s %s took %s, which the document does not allow: %v", req.Method, route.Path, body, reason(wrong))
	case wrong == nil && status == 400 && refusedAsInvalid(w) && !beyondSchema(w):
		t.Errorf("%s %s refused %s, which the document allows: %s", req.Method, req.URL, body, w.Body)
	}
}

// table is [api.Table], which is made anew with each call.
var table = sync.OnceValue(api.Table)

func refusedAsInvalid(w *httptest.ResponseRecorder) bool {
	var e struct{ Code string }
	return json.Unmarshal(w.Body.Bytes(), &e) == nil && e.Code == "VALIDATION_ERROR"
}

// beyondSchema reports a refusal whose rule no keyword of JSON Schema states.
func beyondSchema(w *httptest.ResponseRecorder) bool {
	for _, rule := range []string{
		"must not be after", "days before to", "NUL", "valid Unicode", "and the header Idempotency-Key must be the same",
		"must not be repeated", "larger than 64 kB", "numbers between", "not a trusted", "must be a valid ISO 8601 date string",
		"property userId should not exist", "control or formatting characters", "a visible character", "stack marks",
		"invisible characters", "mix scripts", "compatibility characters", "userId must be a string", "Url must be a URL address",
		"must be in the future", "must be an IP address",
	} {
		if strings.Contains(w.Body.String(), rule) {
			return true
		}
	}
	return false
}

// converted reports a request that is taken although it is not of the document,
// for the sake of old clients: a number or boolean sent for a text, and odd
// numbers of a page.
func converted(err error) bool {
	var request *openapi3filter.RequestError
	return errors.As(err, &request) && slices.ContainsFunc([]string{
		"want string", "want null or string", "empty value is not allowed", "an invalid integer",
	}, func(reason string) bool { return strings.Contains(err.Error(), reason) })
}

// reason is the first lines of a long error.
func reason(err error) string {
	text := err.Error()
	return text[:min(len(text), 400)]
}
