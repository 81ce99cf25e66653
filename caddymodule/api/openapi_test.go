package api_test

import (
	"encoding/json"
	"html"
	"regexp"
	"slices"
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
	if far := regexp.MustCompile(`(?i)(?:src|href|action|data|poster)="(?:https?:)?//[^"]*|@import|url\([^)]*`).FindString(got.body); far != "" {
		t.Errorf("the page has %q", far)
	}
	script := regexp.MustCompile(`(?s)<script nonce="[^"]+">(.*?)</script>`).FindAllStringSubmatch(got.body, -1)
	if len(script) != 1 || strings.Contains(script[0][1], "://") || strings.Contains(script[0][1], "import(") {
		t.Errorf("the scripts of the page are %q", script)
	}
}

// Beside each route stands how a shell and TypeScript call it, and what a page may
// not try it does not offer.
func TestDocsPageHasSnippets(t *testing.T) {
	t.Parallel()
	page := html.UnescapeString(bare(t).send("GET", "/api-docs", nil).status(200).body)
	part := func(method, path string) string {
		t.Helper()
		_, after, ok := strings.Cut(page, `data-method="`+method+`" data-path="`+path+`"`)
		if !ok {
			t.Fatalf("%s %s is not there", method, path)
		}
		part, _, _ := strings.Cut(after, "</details>")
		return part
	}
	for _, row := range []struct{ method, path, has, lacks string }{
		{"POST", "/api/v1/auth/login", "curl \\\n  -X POST \\\n  '" + base + "/api/v1/auth/login' \\\n  -H 'Content-Type: application/json'", "Authorization"},
		{"POST", "/api/v1/auth/login", `mana.call("POST", "/api/v1/auth/login", {` + "\n  body: {", "idempotencyKey"},
		{"POST", "/api/v1/auth/login", `data-access="open"`, ""},
		{"GET", "/api/v1/credits/balance", `-H "Authorization: Bearer $MANA_TOKEN"`, "-X GET"},
		{"GET", "/api/v1/credits/balance", `const answer = await mana.call("GET", "/api/v1/credits/balance");`, ""},
		{"GET", "/api/v1/credits/balance", `data-access="bearer"`, ""},
		{"POST", "/api/v1/credits/use", `idempotencyKey: crypto.randomUUID()`, ""},
		{"DELETE", "/api/v1/auth/sessions/{id}", "/api/v1/auth/sessions/", "sessions/{id}'"},
		{"GET", "/api/v1/internal/credits/balance/{userId}", `-H "X-Service-Key: $MANA_SERVICE_KEY"`, `class="place"`},
		{"GET", "/login", "", "curl"},
		{"POST", "/api/auth/oauth2/token", "", `class="place"`},
	} {
		if text := part(row.method, row.path); !strings.Contains(text, row.has) || row.lacks != "" && strings.Contains(text, row.lacks) {
			t.Errorf("%s %s: %s, want %q, not %q", row.method, row.path, text, row.has, row.lacks)
		}
	}
}

// exported is what both collections have: folders of requests.
type exported struct {
	Name    string
	Items   []exported `json:"items"`
	Item    []exported `json:"item"`
	Request *struct {
		Method string
		URL    json.RawMessage
		Auth   map[string]any
		Header []struct{ Key, Value string }
		Body   map[string]any
		Params []struct{ Name, Type, Value string }
	}
}

// Each route that programs of today call is once in the collections of Postman and
// Bruno, with its parameters, and with a way to say who asks.
func TestDocsAreExported(t *testing.T) {
	t.Parallel()
	s := bare(t)
	var doc struct {
		Paths map[string]map[string]struct {
			Deprecated bool
			Tags       []string
			Security   []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/openapi.json", nil).status(200).body), &doc); err != nil {
		t.Fatal(err)
	}
	for name, urlOf := range map[string]func(json.RawMessage) string{
		"postman": func(raw json.RawMessage) string {
			var u struct {
				Raw      string
				Host     []string
				Path     []string
				Variable []struct{ Key, Value string }
			}
			if json.Unmarshal(raw, &u) != nil || u.Raw != strings.Join(u.Host, ".")+"/"+strings.Join(u.Path, "/") || strings.Count(u.Raw, "/:") != len(u.Variable) {
				t.Errorf("address %s", raw)
			}
			return u.Raw
		},
		"bruno": func(raw json.RawMessage) string {
			var u string
			if json.Unmarshal(raw, &u) != nil {
				t.Errorf("address %s", raw)
			}
			return u
		},
	} {
		var collection struct {
			exported
			Info    struct{ Name, Schema string }
			Version string
		}
		body := s.send("GET", "/api/v1/"+name+".json", nil).status(200).body
		if err := json.Unmarshal([]byte(body), &collection); err != nil {
			t.Fatal(err)
		}
		if collection.Info.Name+collection.Name != "Mana Edge" || collection.Version != "1" && !strings.HasSuffix(collection.Info.Schema, "/collection/v2.1.0/collection.json") {
			t.Errorf("%s: %+v, version %q, name %q", name, collection.Info, collection.Version, collection.Name)
		}
		count := make(map[string]int)
		for _, folder := range append(collection.Items, collection.Item...) {
			for _, item := range append(folder.Items, folder.Item...) {
				if item.Request == nil || item.Name == "" || folder.Name == "" {
					t.Fatalf("%s: %+v is no request", name, item)
				}
				path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(strings.TrimPrefix(urlOf(item.Request.URL), "{{baseUrl}}"), "{$1}")
				count[item.Request.Method+" "+path]++
				kind, _ := item.Request.Auth["type"].(string)
				if kind == "" {
					kind, _ = item.Request.Auth["mode"].(string)
				}
				op := doc.Paths[path][strings.ToLower(item.Request.Method)]
				if bearer := len(op.Security) > 0 && op.Security[0]["bearer"] != nil; bearer != (kind == "bearer") {
					t.Errorf("%s: %s %s says who asks by %q", name, item.Request.Method, path, kind)
				}
			}
		}
		wanted := 0
		for path, item := range doc.Paths {
			for method, op := range item {
				want := 1
				if op.Deprecated || op.Tags[0] == "pages" {
					want = 0
				}
				wanted += want
				if got := count[strings.ToUpper(method)+" "+path]; got != want {
					t.Errorf("%s has %s %s %d times, want %d", name, method, path, got, want)
				}
			}
		}
		if len(count) != wanted || wanted < 100 {
			t.Errorf("%s has %d routes, want %d", name, len(count), wanted)
		}
	}
}

// What the document says of a route is whole: a name that was chosen for it, a tag,
// sentences, who may ask, named types, and an example of each body.
func TestOpenAPIIsAProduct(t *testing.T) {
	t.Parallel()
	var doc struct {
		Tags  []struct{ Name, Description string }
		Paths map[string]map[string]struct {
			OperationID, Summary, Description string
			Tags                              []string
			Deprecated                        bool
			Security                          *[]map[string][]string
			Parameters                        []struct {
				Name, In string
				Required bool
				Schema   map[string]any
				Example  any
			}
			RequestBody *struct {
				Content map[string]struct {
					Schema  map[string]any
					Example any
				}
			}
			Responses map[string]struct {
				Description string
				Content     map[string]struct {
					Schema   map[string]any
					Example  any
					Examples map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(bare(t).send("GET", "/api/v1/openapi.json", nil).status(200).body), &doc); err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, tag := range doc.Tags {
		tags = append(tags, tag.Name)
		if !strings.HasSuffix(tag.Description, ".") {
			t.Errorf("the tag %s says %q", tag.Name, tag.Description)
		}
	}
	for _, row := range api.Table() {
		at := row.Method + " " + row.Path
		op := doc.Paths[row.Path][strings.ToLower(row.Method)]
		if !regexp.MustCompile(`^[a-z][A-Za-z0-9]+$`).MatchString(op.OperationID) || strings.HasPrefix(op.OperationID, "page") && !row.Page {
			t.Errorf("%s: operation %q", at, op.OperationID)
		}
		if !strings.HasSuffix(op.Description, ".") || !strings.HasPrefix(op.Description, op.Summary) || len(op.Tags) != 1 || !slices.Contains(tags, op.Tags[0]) {
			t.Errorf("%s: %q, tags %q", at, op.Description, op.Tags)
		}
		if op.Security == nil || row.Secured == (len(*op.Security) == 0) {
			t.Errorf("%s: security %v", at, op.Security)
		}
		keyed := false
		for _, p := range op.Parameters {
			keyed = keyed || p.Name == "Idempotency-Key"
			if p.In != "header" && p.Required && p.Example == nil {
				t.Errorf("%s: no example of the parameter %s", at, p.Name)
			}
		}
		if keyed != row.Keyed {
			t.Errorf("%s: Idempotency-Key is there: %v", at, keyed)
		}
		if row.Page {
			continue
		}
		if doubled := strings.Contains(row.Path, "/api/v1/api/v1/") || strings.HasPrefix(row.Path, "/api/oidc/") && !strings.HasSuffix(row.Path, "/jwks"); doubled && !op.Deprecated {
			t.Errorf("%s: is not marked as there for old clients", at)
		}
		if row.Body && !row.Raw && op.RequestBody != nil {
			body := op.RequestBody.Content["application/json"]
			if named := body.Schema["$ref"] != nil; named && body.Example == nil {
				t.Errorf("%s: no example of the request", at)
			}
		}
		for status, answer := range op.Responses {
			content, isJSON := answer.Content["application/json"]
			if _, free := content.Schema["additionalProperties"]; !isJSON || free {
				continue
			}
			if status[0] == '2' && content.Example == nil {
				t.Errorf("%s: no example of the answer %s", at, status)
			}
			if status[0] == '4' && len(content.Examples) == 0 {
				t.Errorf("%s: no example of the answer %s", at, status)
			}
		}
	}
}
