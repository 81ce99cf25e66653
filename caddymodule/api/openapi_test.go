package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/api"
)

func TestOpenAPIMatchesTheTable(t *testing.T) {
	t.Parallel()
	s := bare(t)
	got := s.send("GET", "/api/v1/openapi.json", nil).status(200)
	if again := s.send("GET", "/api-docs-json", nil).status(200); again.body != got.body {
		t.Error("two documents")
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	operations, ids := 0, map[any]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			operations++
			if ids[op["operationId"]] || op["operationId"] == "" || op["summary"] == "" {
				t.Errorf("%s %s: %v", method, path, op["operationId"])
			}
			ids[op["operationId"]] = true
		}
	}
	if operations != len(api.Table()) {
		t.Errorf("%d operations, %d routes", operations, len(api.Table()))
	}
	for _, row := range api.Table() {
		op := doc.Paths[row.Path][strings.ToLower(row.Method)]
		if op == nil {
			t.Errorf("%s %s is not documented", row.Method, row.Path)
			continue
		}
		if _, has := op["requestBody"]; has != row.Body {
			t.Errorf("%s %s: body documented %v", row.Method, row.Path, has)
		}
		if _, has := op["parameters"]; has != (strings.Contains(row.Path, "{") || row.Query || row.Keyed || row.Headers) {
			t.Errorf("%s %s: parameters documented %v", row.Method, row.Path, has)
		}
		responses, _ := op["responses"].(map[string]any)
		if _, has := responses["401"]; (row.Bearer || row.Service) && !has {
			t.Errorf("%s %s: no 401", row.Method, row.Path)
		}
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				name, local := strings.CutPrefix(ref, "#/components/schemas/")
				if _, known := doc.Components.Schemas[name]; !local || !known {
					t.Errorf("reference %q leads nowhere", ref)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	var all any
	if err := json.Unmarshal([]byte(got.body), &all); err != nil {
		t.Fatal(err)
	}
	walk(all)
}

func TestDocsPageIsOffline(t *testing.T) {
	t.Parallel()
	got := bare(t).send("GET", "/api-docs", nil).status(200)
	for _, row := range api.Table() {
		if !strings.Contains(got.body, row.Method+" "+row.Path) {
			t.Errorf("%s %s is not on the page", row.Method, row.Path)
		}
	}
	for _, far := range []string{"http://", "https://", "<script", "@import", "url("} {
		if strings.Contains(got.body, far) {
			t.Errorf("the page has %q", far)
		}
	}
}
