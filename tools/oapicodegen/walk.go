package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// call is one of an operation, as the test that walks them all asks for it.
type call struct {
	Base      string            `json:"base"`
	Operation string            `json:"operation"` // its operationId
	Path      string            `json:"path"`      // as in the document: /users/{id}
	InPath    map[string]string `json:"inPath"`
	Params    map[string]any    `json:"params"`  // of query and header
	Headers   map[string]string `json:"headers"` // that no parameter is for: who asks
	Media     string            `json:"media"`   // of the body; empty without one
	Body      json.RawMessage   `json:"body"`    // of JSON
	Bytes     []byte            `json:"bytes"`   // of anything else
}

// outcome is what came of a call. Fault is what the generated client did wrong.
type outcome struct {
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"`
	Fault   string              `json:"fault"`
}

// walk answers each call, one a line, with its outcome. The method of an operation is
// found by its name, and its arguments are read into their generated types.
func walk(in io.Reader, out io.Writer) error {
	calls, outcomes := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var c call
		if err := calls.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		o, err := c.send()
		if err != nil {
			o.Fault = err.Error()
		}
		if err := outcomes.Encode(o); err != nil {
			return err
		}
	}
}

// direct does not follow where an answer leads.
var direct = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (c call) send() (o outcome, err error) {
	made, err := NewClientWithResponses(c.Base, WithHTTPClient(direct), WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		for name, value := range c.Headers {
			r.Header.Set(name, value)
		}
		return nil
	}))
	if err != nil {
		return o, err
	}
	method, err := c.method(reflect.ValueOf(made))
	if err != nil {
		return o, err
	}
	args, err := c.arguments(method.Type())
	if err != nil {
		return o, err
	}
	results := method.Call(args)
	if err, _ := results[1].Interface().(error); err != nil {
		return o, err
	}
	answer := results[0].Elem()
	response := answer.FieldByName("HTTPResponse").Interface().(*http.Response)
	body := answer.FieldByName("Body").Bytes()
	o = outcome{Status: response.StatusCode, Headers: response.Header, Body: string(body)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") && len(body) > 0 {
		err = typed(answer, response.StatusCode, body)
	}
	return o, err
}

// method is that of the operation, for a body as it is sent.
func (c call) method(client reflect.Value) (reflect.Value, error) {
	suffixes := []string{"WithResponse"}
	switch c.Media {
	case "", "application/json":
	default:
		suffixes = []string{"WithBodyWithResponse"}
	}
	for _, suffix := range suffixes {
		if method := client.MethodByName(strings.ToUpper(c.Operation[:1]) + c.Operation[1:] + suffix); method.IsValid() {
			return method, nil
		}
	}
	return reflect.Value{}, fmt.Errorf("the client has no %s for %q", c.Operation, c.Media)
}

var inPath = regexp.MustCompile(`\{(\w+)\}`)

// arguments are those of a method: a context, what is in the path, the parameters, and
// the body, or its media type and its bytes.
func (c call) arguments(method reflect.Type) (args []reflect.Value, err error) {
	names := inPath.FindAllStringSubmatch(c.Path, -1)
	mediaFollows := c.Media != "" && c.Media != "application/json"
	for i := range method.NumIn() {
		of := method.In(i)
		switch {
		case method.IsVariadic() && i == method.NumIn()-1:
		case of == reflect.TypeFor[context.Context]():
			args = append(args, reflect.ValueOf(context.Background()))
		case of.Kind() == reflect.String && len(names) > 0:
			arg := reflect.New(of).Elem()
			arg.SetString(c.InPath[names[0][1]])
			args, names = append(args, arg), names[1:]
		case of.Kind() == reflect.String && mediaFollows:
			args = append(args, reflect.ValueOf(c.Media))
		case of == reflect.TypeFor[io.Reader]():
			args = append(args, reflect.ValueOf(bytes.NewReader(c.Bytes)))
		case of.Kind() == reflect.Pointer && strings.HasSuffix(of.Elem().Name(), "Params"):
			arg, err := read(of.Elem(), c.Params)
			if err != nil {
				return nil, fmt.Errorf("parameters: %w", err)
			}
			args = append(args, arg.Addr())
		default:
			arg, err := read(of, c.Body)
			if err != nil {
				return nil, fmt.Errorf("body: %w", err)
			}
			args = append(args, arg)
		}
	}
	return args, nil
}

// read makes a value of a generated type, which must have a field for all there is.
func read(of reflect.Type, from any) (reflect.Value, error) {
	into := reflect.New(of)
	raw, err := json.Marshal(from)
	if err != nil {
		return into.Elem(), err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	return into.Elem(), decoder.Decode(into.Interface())
}

// typed fails where the answer is not in the field of its status, or where that lacks
// something of it.
func typed(answer reflect.Value, status int, body []byte) error {
	field := answer.FieldByName("JSON" + strconv.Itoa(status))
	if !field.IsValid() || field.IsNil() {
		return fmt.Errorf("%s has no JSON%d of %s", answer.Type().Name(), status, body)
	}
	again, err := json.Marshal(field.Interface())
	if err != nil {
		return err
	}
	var sent, kept any
	if err := errors.Join(json.Unmarshal(body, &sent), json.Unmarshal(again, &kept)); err != nil {
		return err
	}
	if lost := missing(sent, kept, ""); lost != "" {
		return fmt.Errorf("%s.JSON%d lacks %s of %s", answer.Type().Name(), status, lost, body)
	}
	return nil
}

// missing is the first place of what was sent that was not kept. A text may be written
// in another way, as times are.
func missing(sent, kept any, at string) string {
	switch sent := sent.(type) {
	case nil:
		return ""
	case map[string]any:
		kept, ok := kept.(map[string]any)
		if !ok {
			return at
		}
		for name, value := range sent {
			if lost := missing(value, kept[name], at+"."+name); lost != "" {
				return lost
			}
		}
	case []any:
		kept, ok := kept.([]any)
		if !ok || len(kept) != len(sent) {
			return at
		}
		for i, value := range sent {
			if lost := missing(value, kept[i], at+"["+strconv.Itoa(i)+"]"); lost != "" {
				return lost
			}
		}
	case string:
		if _, ok := kept.(string); !ok {
			return at
		}
	default:
		if sent != kept {
			return at
		}
	}
	return ""
}
