package docs

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
)

// description is the OpenAPI document as snippets and exports read it.
type description struct {
	Info struct {
		Title, Version string
	}
	Servers []struct{ URL string }
	Paths   map[string]map[string]operation
}

// operation is a route in the document.
type operation struct {
	OperationID string
	Summary     string
	Description string
	Tags        []string
	Deprecated  bool
	Security    []map[string][]string
	Parameters  []parameter
	RequestBody *struct {
		Content map[string]struct{ Example json.RawMessage }
	}

	method, path string
}

// parameter is one of the path, the query or the header.
type parameter struct {
	Name, In, Description string
	Required              bool
	Example               any
}

// value is the example as a text; a parameter without one has its own name.
func (p parameter) value() string {
	if p.Example == nil {
		return p.Name
	}
	return fmt.Sprint(p.Example)
}

// describe reads the document, whose operations are in the order of the table.
func describe(document []byte, table []endpoint.Route) (d description, list []operation, err error) {
	if err := json.Unmarshal(document, &d); err != nil {
		return d, nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	for i := range table {
		op := d.Paths[table[i].Path][strings.ToLower(table[i].Method)]
		op.method, op.path = table[i].Method, table[i].Path
		list = append(list, op)
	}
	return d, list, nil
}

// in are the parameters of a place: those that are required, or all.
func (op operation) in(place string, all bool) (list []parameter) {
	for _, p := range op.Parameters {
		if p.In == place && (all || p.Required) {
			list = append(list, p)
		}
	}
	return list
}

// needs reports whether a way to say who asks is one of those that the route takes.
func (op operation) needs(scheme string) bool {
	return slices.ContainsFunc(op.Security, func(s map[string][]string) bool { return s[scheme] != nil })
}

// keyed reports whether the route takes an idempotency key.
func (op operation) keyed() bool {
	return slices.ContainsFunc(op.Parameters, func(p parameter) bool { return p.Name == idempotencyKey })
}

const idempotencyKey = "Idempotency-Key"

// json reports whether the route reads JSON, and an example of it, which may be nil.
func (op operation) json() (example json.RawMessage, ok bool) {
	if op.RequestBody == nil {
		return nil, false
	}
	media, ok := op.RequestBody.Content["application/json"]
	return media.Example, ok
}

// target is the path with examples in it, and the query of what is required.
func (op operation) target() string {
	path := op.path
	for _, p := range op.in("path", true) {
		path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(p.value()))
	}
	query := url.Values{}
	for _, p := range op.in("query", false) {
		query.Set(p.Name, p.value())
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}
