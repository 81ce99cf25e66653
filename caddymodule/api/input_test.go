package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/internal/dbscope"
)

func TestValidationTexts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	access, _ := s.login("ada@example.test")
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		path    string
		content string
		want    []string
	}{
		{"register", `{}`, []string{"email must be an email", "password must be shorter than or equal to 128 characters",
			"password must be longer than or equal to 8 characters", "password must be a string"}},
		{"register", `{"email":"a","password":"short"}`, []string{"email must be an email", "password must be longer than or equal to 8 characters"}},
		{"register", `{"email":"a@b.co","password":"` + strings.Repeat("p", 129) + `"}`, []string{"password must be shorter than or equal to 128 characters"}},
		{"register", `{"email":"a@b.co","password":"password1"}`, []string{"password is too common"}},
		{"register", `{"email":"a@b.co","password":"long enough phrase","name":"` + long + `"}`, []string{"name must be shorter than or equal to 255 characters"}},
		{"register", `{"email":"a@b.co","password":"long enough phrase","sourceAppUrl":"javascript:alert(1)"}`, []string{"sourceAppUrl must be a URL address"}},
		{"register", `{"email":"a@b.co","password":"long enough phrase","x":1,"y":2}`, []string{"property x should not exist", "property y should not exist"}},
		{"register", `{"email":{"a":1},"password":["x"],"name":{}}`, []string{"email must be an email", "password must be shorter than or equal to 128 characters",
			"password must be longer than or equal to 8 characters", "password must be a string",
			"name must be shorter than or equal to 255 characters", "name must be a string"}},
		{"login", `{"email":"a@b.co","password":"x","rememberMe":true}`, []string{"property rememberMe should not exist"}},
		{"login", `{"email":null,"password":null,"deviceId":null}`, []string{"email must be an email", "password must be a string"}},
		{"login", `{"email":"a@b.co","password":"x","deviceId":"` + long + `"}`, []string{"deviceId must be shorter than or equal to 255 characters"}},
		{"login", `{"email":"a@b.co","email":"c@d.co","password":"x"}`, []string{"property email must not be repeated"}},
		{"login", `{"email":"a\u0000@b.co","password":"x"}`, []string{"email must not contain NUL characters"}},
		{"login", `{"email":"a@b.co","password":"x\ud800"}`, []string{"password must be valid Unicode text"}},
		{"login", `{"email":"a@b.co","password":"\udc00\ud800"}`, []string{"password must be valid Unicode text"}},
		{"profile", `{"name":"A","image":"no url"}`, []string{"name must be longer than or equal to 2 characters", "image must be a URL address"}},
		{"profile", `{"image":"http://storage/a.png"}`, []string{"image must be a URL address"}},
		{"profile", `{"image":"http://localhost@storage/a.png"}`, []string{"image must be a URL address"}},
		{"profile", `{"image":"javascript://example.test/%0aalert(1)"}`, []string{"image must be a URL address"}},
	} {
		got := s.send("POST", "/api/v1/auth/"+tt.path, tt.content, bearer(access)).status(400).message(tt.want...)
		if got.object()["statusCode"] != 400.0 {
			t.Errorf("%s: %s", tt.content, got.body)
		}
	}
}

func TestCoercionAndForms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.send("POST", "/api/v1/auth/register", `{"email":"n@example.test","password":981273645091,"name":true}`).status(201)
	s.send("POST", "/api/v1/auth/login", `{"email":"n@example.test","password":"981273645091","deviceId":12.50}`).status(200)
	form := url.Values{"email": {"n@example.test"}, "password": {"981273645091"}}.Encode()
	s.send("POST", "/api/v1/auth/login", form, asForm).status(200)
	s.send("POST", "/api/v1/auth/login", form+"&email=x", asForm).status(400).message("property email must not be repeated")
	s.send("POST", "/api/v1/auth/login", "email=%ff&password=%00", asForm).status(400).
		message("email must be valid Unicode text", "password must not contain NUL characters")
	s.send("POST", "/api/v1/auth/login", "email=%zz", asForm).status(400)
	pair := `{"email":"s@example.test","password":"\ud83d\ude00 smiling phrase"}`
	s.send("POST", "/api/v1/auth/register", pair).status(201)
	s.send("POST", "/api/v1/auth/login", `{"email":"s@example.test","password":"😀 smiling phrase"}`).status(200)
}

// TestBadInputsOnEveryRoute sends each bad input to each route with a body: a
// clear refusal or, where a lenient route says so in its body, 200; never a 5xx.
func TestBadInputsOnEveryRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	access, _ := s.login("ada@example.test")
	before := s.rows()
	const tooLarge = "one byte and some more than the route takes"
	inputs := map[string]struct {
		content string
		kind    string
		status  int // on strict routes
	}{
		"malformed":     {`{"email":`, "application/json", 400},
		"two values":    {`{} {}`, "application/json", 400},
		"array":         {`[1]`, "application/json", 400},
		"null":          {`null`, "application/json", 400},
		"blank":         {` `, "application/json", 400},
		"not UTF-8":     {"{\"email\":\"\xff\"}", "application/json", 400},
		"deep":          {`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "application/json", 400},
		"unknown":       {`{"nobody":"knows"}`, "application/json", 400},
		"NUL name":      {`{"\u0000":1}`, "application/json", 400},
		"surrogate":     {`{"\ud800":"\udfff"}`, "application/json", 400},
		"types":         {`{"email":[],"password":{},"name":[],"token":[],"refreshToken":{},"id":[]}`, "application/json", 400},
		"too large":     {tooLarge, "application/json", 413},
		"other type":    {`<a/>`, "text/xml", 415},
		"plain text":    {`{"email":"a@b.co"}`, "text/plain", 415},
		"other charset": {`{}`, "application/json; charset=utf-16", 415},
		"no type":       {`{}`, "", 415},
		"bad form":      {`a=%`, "application/x-www-form-urlencoded", 400},
		"many fields":   {`{` + strings.TrimSuffix(strings.Repeat(`"f":1,`, 9000), ",") + `}`, "application/json", 400},
	}
	for _, row := range api.Table() {
		if !row.Body {
			continue
		}
		for name, in := range inputs {
			if in.content == tooLarge {
				in.content = `{"email":"` + strings.Repeat("a", int(row.MostBody)) + `"}`
			}
			headers := []header{with("Origin", base), func(h http.Header) { h.Set("Content-Type", in.kind) }}
			if row.Bearer {
				headers = append(headers, bearer(access))
			}
			if row.Service {
				headers = append(headers, asService)
			}
			got := s.send(row.Method, row.URL(), in.content, headers...)
			if got.code >= 500 || row.Strict && got.code != in.status {
				t.Errorf("%s %s, %s: status %d: %.200s", row.Method, row.Path, name, got.code, got.body)
			}
			if !row.Page && got.code/100 != 3 {
				got.object()
			}
			if len(got.body) > 20_000 {
				t.Errorf("%s %s, %s: an answer of %d bytes", row.Method, row.Path, name, len(got.body))
			}
		}
	}
	if diff := cmp.Diff(before, s.rows()); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

// rows counts what every table holds but the event log, which may tell of
// refusals.
func (s *site) rows() map[string]int64 {
	s.Helper()
	type table struct{ Name string }
	tables, err := dbscope.Rows[table](s.Context(), s.db.Pool, dbscope.System(),
		`SELECT schemaname || '.' || tablename AS name FROM pg_tables
		 WHERE schemaname IN ('auth', 'credits', 'gifts', 'subscriptions') AND tablename <> 'security_events'`)
	if err != nil {
		s.Fatal(err)
	}
	if len(tables) < 20 {
		s.Fatalf("only the tables %v", tables)
	}
	counts := make(map[string]int64)
	for _, t := range tables {
		type count struct{ N int64 }
		c, err := dbscope.Row[count](s.Context(), s.db.Pool, dbscope.System(), "SELECT count(*) AS n FROM "+t.Name)
		if err != nil {
			s.Fatalf("%s: %v", t.Name, err)
		}
		counts[t.Name] = c.N
	}
	return counts
}

func TestBadCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	for _, value := range []string{
		"", "x", ".", strings.Repeat("a", 31) + "." + strings.Repeat("b", 43) + "=",
		strings.Repeat("a", 32) + "." + strings.Repeat("b", 43) + "=", "%", "%00", strings.Repeat("a", 8000),
	} {
		cookie := with("Cookie", cookieName+"="+value)
		if got := s.send("GET", "/api/auth/get-session", nil, cookie).status(200); got.body != "null" {
			t.Errorf("%q: %s", value, got.body)
		}
		s.send("POST", "/api/v1/auth/session-to-token", nil, cookie, with("Origin", app)).status(401).message("No session cookie found")
		s.send("GET", "/account", nil, cookie).status(303)
	}
}
