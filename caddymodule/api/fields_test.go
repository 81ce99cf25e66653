package api_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/api"
)

// wrongFor is a value that no field of the schema takes: texts are made of numbers and truths
// too, so it is an object, or where that fits a text.
func wrongFor(schema *openapi3.Schema) any {
	var fits func(s *openapi3.Schema) bool
	fits = func(s *openapi3.Schema) bool {
		return s.Type == nil && len(s.AnyOf) == 0 || s.Type.Includes("object") ||
			slices.ContainsFunc(s.AnyOf, func(ref *openapi3.SchemaRef) bool { return fits(ref.Value) })
	}
	if fits(schema) {
		return "wrong"
	}
	return map[string]any{"wrong": true}
}

// exampleOf is the body that the document shows for a route, nil for one without.
func exampleOf(t *testing.T, document *openapi3.T, row api.Row) (example map[string]any, schema *openapi3.Schema) {
	t.Helper()
	media := document.Paths.Value(row.Path).GetOperation(row.Method).RequestBody.Value.Content.Get("application/json")
	example, ok := media.Example.(map[string]any)
	if !ok {
		t.Errorf("%s %s has no example", row.Method, row.Path)
	}
	return example, media.Schema.Value
}

// readDocument is the document of a site where everything is set up.
func readDocument(t *testing.T) *openapi3.T {
	t.Helper()
	cfg, deps := settings(nil, nil)
	raw, err := documentOf(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// as are the headers of who may ask a route.
func as(row api.Row, access string) []header {
	headers := []header{with("Origin", base), with("Content-Type", "application/json")}
	if row.Bearer {
		headers = append(headers, bearer(access))
	}
	if row.Service {
		headers = append(headers, asService)
	}
	return headers
}

// adminOf makes an admin of a site, and returns their token.
func adminOf(s *site) (access string) {
	s.Helper()
	s.member("ada@example.test")
	s.exec(`UPDATE auth.users SET role = 'admin', email_verified = true`)
	access, _ = s.login("ada@example.test")
	return access
}

// Each field of the example of each route is refused by its name where it is wrong, and
// nothing is written.
func TestEachFieldWrong(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	access, document := adminOf(s), readDocument(t)
	before, fields := s.rows(), 0
	for _, row := range api.Table() {
		if !row.Body || !row.Strict || row.Page {
			continue
		}
		example, schema := exampleOf(t, document, row)
		for name, property := range schema.Properties {
			fields++
			body := maps.Clone(example)
			body[name] = wrongFor(property.Value)
			got := s.send(row.Method, row.URL(), body, as(row, access)...)
			if got.code != http.StatusBadRequest || !strings.Contains(got.body, name) {
				t.Errorf("%s %s with %s %v: %d %.300s", row.Method, row.Path, name, body[name], got.code, got.body)
			}
		}
	}
	if fields < 100 {
		t.Errorf("only %d fields were looked at", fields)
	}
	if diff := cmp.Diff(before, s.rows()); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

// While the database is away, each route that is asked as its example shows says so, or
// what it can say without; none fails.
func TestEachRouteWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	access, document := adminOf(s), readDocument(t)
	s.db.Pool.Close()
	away := 0
	for _, row := range api.Table() {
		var body any
		if row.Body && row.Strict && !row.Page {
			body, _ = exampleOf(t, document, row)
		}
		switch got := s.send(row.Method, row.URL(), body, as(row, access)...); {
		case got.code == http.StatusServiceUnavailable:
			away++
			if !strings.HasSuffix(row.Path, "/ready") && got.header.Get("Retry-After") == "" {
				t.Errorf("%s %s does not say when to come back: %s", row.Method, row.Path, got.body)
			}
		case got.code >= 500:
			t.Errorf("%s %s: %d %s", row.Method, row.Path, got.code, got.body)
		}
	}
	if away < 80 {
		t.Errorf("only %d routes say that the database is away", away)
	}
}
