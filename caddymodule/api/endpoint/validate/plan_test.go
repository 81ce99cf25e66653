package validate_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/api/endpoint/decode"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/creditcore"
)

type order struct {
	Credits  *creditcore.Amount `json:"credits" rule:"optional,mincredits=1,maxcredits=10000,number"`
	Price    creditcore.Amount  `json:"price" rule:"optional"`
	Portions *int               `json:"portions" rule:"optional,integer,least=1,most=100"`
	Count    int                `json:"count" rule:"optional"`
	Kind     *string            `json:"kind" rule:"optional,oneof=a|b"`
	ID       string             `json:"id" rule:"optional,uuid"`
	Extra    json.RawMessage    `json:"extra" rule:"optional,object"`
	For      string             `json:"for" rule:"service,string"`
	Page     *int               `query:"page" rule:"optional,least=1"`
	Above    *creditcore.Amount `query:"above" rule:"optional,positive"`
	Since    string             `query:"since" rule:"optional,isodate"`
}

// fill fills a request type from a JSON body, or a form where it is none, and a
// query, and returns the texts of the errors.
func fill[T any](content, query string, serviceKey bool) (req T, texts []string) {
	parse := decode.JSON
	if !strings.HasPrefix(content, "{") {
		parse = func(raw []byte) (decode.Body, error) { return decode.Form(string(raw)) }
	}
	body, err := parse([]byte(content))
	if err != nil {
		return req, []string{err.Error()}
	}
	q, err := decode.Form(query)
	if err != nil {
		return req, []string{err.Error()}
	}
	p := validate.For(reflect.TypeFor[T]())
	for _, e := range p.Fill(reflect.ValueOf(&req).Elem(), validate.Input{Body: body, Query: q, Service: serviceKey}, true) {
		texts = append(texts, e.Text)
	}
	return req, texts
}

func TestFill(t *testing.T) {
	t.Parallel()
	amount := func(a creditcore.Amount) *creditcore.Amount { return &a }
	number := func(n int) *int { return &n }
	kind := "b"
	for _, tt := range []struct {
		content, query string
		service        bool
		want           order
	}{
		{`{}`, "", false, order{}},
		{`{"credits":null,"portions":null,"kind":null,"extra":null}`, "page=&above=&other=1&other=2", false, order{}},
		{`{"credits":1.5,"price":-2e0,"portions":1e2,"count":-7,"kind":"b","id":"0190A7F0-0000-7000-8000-00000000000a","extra":{"a" : [ 1 ]}}`,
			"page=3&above=0.001&since=2026-11-22", false,
			order{Credits: amount(1500), Price: -2000, Portions: number(100), Count: -7, Kind: &kind,
				ID: "0190A7F0-0000-7000-8000-00000000000a", Extra: json.RawMessage(`{"a":[1]}`),
				Page: number(3), Above: amount(1), Since: "2026-11-22"}},
		{`{"for":"ada"}`, "since=2026-11-22T10:00:00.123Z", true, order{For: "ada", Since: "2026-11-22T10:00:00.123Z"}},
		{`credits=2.5&portions=3&kind=b`, "", false, order{Credits: amount(2500), Portions: number(3), Kind: &kind}},
	} {
		got, texts := fill[order](tt.content, tt.query, tt.service)
		if len(texts) == 0 {
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s?%s (-want +got)\n%s", tt.content, tt.query, diff)
			}
			continue
		}
		t.Errorf("%s?%s: %q", tt.content, tt.query, texts)
	}
}

func TestFillErrors(t *testing.T) {
	t.Parallel()
	const (
		notNumber = "credits must be a number conforming to the specified constraints"
		least     = "Minimum 1 credit required"
		most      = "Maximum 10000 credits allowed"
	)
	for _, tt := range []struct {
		content, query string
		want           []string
	}{
		{`{"credits":"5"}`, "", []string{least, most, notNumber}},
		{`{"credits":true}`, "", []string{least, most, notNumber}},
		{`{"credits":0.5}`, "", []string{least}},
		{`{"credits":10001}`, "", []string{most}},
		{`{"credits":1e400}`, "", []string{most, notNumber}},
		{`{"credits":-1e12}`, "", []string{least, notNumber}},
		{`{"price":"5"}`, "", []string{"price must be a number conforming to the specified constraints"}},
		{`{"price":1000000001}`, "", []string{"price must not be greater than 1000000000"}},
		{`{"price":-1e30}`, "", []string{"price must not be less than -1000000000"}},
		{`{"portions":1.5}`, "", []string{"portions must be an integer number"}},
		{`{"portions":"3"}`, "", []string{"portions must be an integer number", "portions must not be less than 1", "portions must not be greater than 100"}},
		{`{"portions":0}`, "", []string{"portions must not be less than 1"}},
		{`{"portions":1e300}`, "", []string{"portions must not be greater than 100"}},
		{`{"count":1.5}`, "", []string{"count must be an integer number"}},
		{`{"count":1e20}`, "", []string{"count must be an integer number"}},
		{`{"count":[]}`, "", []string{"count must be an integer number"}},
		{`{"kind":"c"}`, "", []string{"kind must be one of the following values: a, b"}},
		{`{"kind":{}}`, "", []string{"kind must be one of the following values: a, b"}},
		{`{"id":"x"}`, "", []string{"id must be a UUID"}},
		{`{"extra":[]}`, "", []string{"extra must be an object"}},
		{`{"extra":"{}"}`, "", []string{"extra must be an object"}},
		{`{"for":"ada"}`, "", []string{"property for should not exist"}},
		{`{"page":1}`, "", []string{"property page should not exist"}},
		{`{}`, "page=0&above=0&since=now", []string{
			"page must not be less than 1", "above must be a positive number", "since must be a valid ISO 8601 date string"}},
		{`{}`, "page=0x10", []string{"page must not be less than 1"}},
		{`{}`, "above=+1", []string{"above must be a positive number"}},
		{`{}`, "since=a%00", []string{"since must not contain NUL characters"}},
		{`{"extra":{"\u0000":1}}`, "", []string{"extra must not contain NUL characters"}},
		{`{"extra":{"a":"\ud800"}}`, "", []string{"extra must be valid Unicode text"}},
		{`{"extra":{"a":-1e22}}`, "", []string{"extra must hold numbers between 1e-21 and 1e21 only"}},
		{`credits=five`, "", []string{least, most, notNumber}},
	} {
		if _, texts := fill[order](tt.content, tt.query, false); !cmp.Equal(tt.want, texts) {
			t.Errorf("%s?%s: %q, want %q", tt.content, tt.query, texts, tt.want)
		}
	}
}

// FuzzFill proves that whatever passes is an amount the ledger takes, and that
// nothing panics.
func FuzzFill(f *testing.F) {
	for _, seed := range []string{
		`{"credits":1}`, `{"credits":0.6000000000000001,"portions":3}`, `{"credits":1e400}`, `{"extra":{"a":[1,{"b":"\ud83d\ude00"}]}}`,
		`{"count":-0,"price":-0.0}`, `credits=1&portions=2`, `{"portions":9223372036854775808}`,
	} {
		f.Add(seed, "page=1&above=2&since=2026-01-01")
	}
	f.Fuzz(func(t *testing.T, content, query string) {
		req, texts := fill[order](content, query, true)
		if len(texts) > 0 {
			return
		}
		if req.Credits != nil && (*req.Credits < creditcore.Credit || *req.Credits > creditcore.Credits(10_000)) {
			t.Errorf("%s: credits %v", content, req.Credits)
		}
		if req.Portions != nil && (*req.Portions < 1 || *req.Portions > 100) {
			t.Errorf("%s: portions %v", content, *req.Portions)
		}
		if req.Price > creditcore.MaxAmount || req.Price < -creditcore.MaxAmount {
			t.Errorf("%s: price %v", content, req.Price)
		}
		if len(req.Extra) > 0 && (!json.Valid(req.Extra) || req.Extra[0] != '{') {
			t.Errorf("%s: extra %s", content, req.Extra)
		}
	})
}
