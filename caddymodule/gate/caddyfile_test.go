package gate_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/ratelimit"
	"mana.how/edge/internal/edgetest"
)

// Nothing that answers stands before the gate, whatever order the lines of
// the site have.
func TestDirectiveOrder(t *testing.T) {
	t.Parallel()
	config, err := edgetest.Adapt(t, `
:8080 {
	file_server
	reverse_proxy localhost:3000
	respond "ok"
	templates
	handle /h { 
		respond "handled"
	}
	encode gzip
	request_header X-A b
	forward_auth localhost:1 {
		uri /
	}
	basic_auth {
		u $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	mana_auth
	mana_rate_limit 100/1m
	header X-B c
}`)
	if err != nil {
		t.Fatal(err)
	}
	names := edgetest.HandlerNames(t, config)
	at := func(name string) int {
		i := slices.Index(names, name)
		if i < 0 {
			t.Fatalf("%s is missing in %v", name, names)
		}
		return i
	}
	if !(at("mana_rate_limit") < at("mana_auth") && at("mana_auth") == at("mana_rate_limit")+1 && at("mana_auth") < at("authentication")) {
		t.Errorf("order: %v", names)
	}
	for _, answering := range []string{"static_response", "file_server", "reverse_proxy", "templates", "encode"} {
		if at(answering) < at("mana_auth") {
			t.Errorf("%s before mana_auth: %v", answering, names)
		}
	}
}

func TestGateCaddyfile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want *gate.Gate
	}{
		{"mana_auth", &gate.Gate{}},
		{"mana_auth optional", &gate.Gate{Optional: true}},
		{"mana_auth {\n max_age 15m\n amr mfa\n}", &gate.Gate{MaxAge: caddy.Duration(15 * time.Minute), AMR: []string{"mfa"}}},
		{"mana_auth {\n org any\n org_role owner admin\n}", &gate.Gate{Orgs: []string{"any"}, OrgRoles: []string{"owner", "admin"}}},
		{"mana_auth {\n audience https://api.example.test chat\n}", &gate.Gate{Audiences: []string{"https://api.example.test", "chat"}}},
		{"mana_auth {\n headers name picture\n header X-A {http.auth.user.id}\n header X-B \"a b\"\n}", &gate.Gate{Headers: []string{"name", "picture"},
			Header: []gate.NamedHeader{{Name: "X-A", Value: "{http.auth.user.id}"}, {Name: "X-B", Value: "a b"}}}},
		{"mana_auth {\n assertion\n}", &gate.Gate{Assertion: &gate.Assertion{}}},
		{"mana_auth {\n assertion chat\n}", &gate.Gate{Assertion: &gate.Assertion{Audience: "chat"}}},
		{"mana_auth {\n org o1 o2\n}", &gate.Gate{Orgs: []string{"o1", "o2"}}},
		{"mana_auth {\n role user admin\n scope chat.read chat.write\n login never\n}", &gate.Gate{Roles: []string{"user", "admin"}, Scopes: []string{"chat.read", "chat.write"}, Login: "never"}},
	} {
		got := new(gate.Gate)
		if err := got.UnmarshalCaddyfile(caddyfile.NewTestDispenser(c.in)); err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if diff := cmp.Diff(edgetest.AsJSON(t, c.want), edgetest.AsJSON(t, got)); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
	}
	for in, wants := range map[string][]string{
		"mana_auth sometimes":                              {"sometimes", ":1"},
		"mana_auth {\n max_age soon\n amr\n}":              {":2", ":3", "max_age", "amr"},
		"mana_auth {\n max_age 0s\n}":                      {":2", "above zero"},
		"mana_auth {\n audience\n}":                        {":2", "audience"},
		"mana_auth {\n org\n org_role\n}":                  {":2", ":3", "org", "org_role"},
		"mana_auth {\n headers\n header X-A\n}":            {":2", ":3", "headers", "header: takes 2"},
		"mana_auth {\n assertion a b\n}":                   {":2", "one audience"},
		"mana_auth optional twice":                         {":1"},
		"mana_auth {\n role\n login a b\n colour red\n}":   {":2", ":3", ":4", "role", "login", "colour"},
		"mana_auth {\n role user {\n admin\n }\n}":         {"role", "block"},
		"mana_auth {\n login redirect\n login redirect\n}": {"already set", ":3"},
	} {
		err := new(gate.Gate).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %s is missing in %v", in, want, err)
			}
		}
	}
}

func TestRateLimitCaddyfile(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"mana_rate_limit 100/1m":                          `{"limit":100,"window":60000000000}`,
		"mana_rate_limit 5/1d":                            `{"limit":5,"window":86400000000000}`,
		"mana_rate_limit 1/1s {\n key user\n}":            `{"limit":1,"window":1000000000,"key":"user"}`,
		"mana_rate_limit 1/1s {\n key header X-Tenant\n}": `{"limit":1,"window":1000000000,"key":"header","header":"X-Tenant"}`,
		"mana_rate_limit 0/1s {\n key something\n}":       `{"limit":0,"window":1000000000,"key":"something"}`, // a fault of Validate
	} {
		got := new(ratelimit.RateLimit)
		if err := got.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err != nil {
			t.Errorf("%q: %v", in, err)
		} else if diff := cmp.Diff(want, edgetest.AsJSON(t, got)); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	for in, wants := range map[string][]string{
		"mana_rate_limit":                                  {":1", "takes one rate"},
		"mana_rate_limit 100":                              {`"100"`},
		"mana_rate_limit x/1m {\n key\n}":                  {`"x/1m"`, ":1", ":2", "key"},
		"mana_rate_limit 100/1x":                           {`"100/1x"`},
		"mana_rate_limit 1/1s 2":                           {":1"},
		"mana_rate_limit 1/1s {\n key header\n}":           {":2"},
		"mana_rate_limit 1/1s {\n key user now\n by ip\n}": {":2", ":3", "by"},
	} {
		err := new(ratelimit.RateLimit).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %s is missing in %v", in, want, err)
			}
		}
	}
}

// Each directive counts for itself, and a reload of the same file finds its
// counters again.
func TestRateLimitDirectivesHaveZones(t *testing.T) {
	t.Parallel()
	const file = ":8080 {\n mana_rate_limit /a/* 1/1m\n mana_rate_limit 1/1m\n}\n:8081 {\n mana_rate_limit 1/1m\n}"
	first, err := edgetest.Adapt(t, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{`"zone":"1"`, `"zone":"2"`, `"zone":"3"`} {
		if strings.Count(string(first), zone) != 1 {
			t.Errorf("%s in %s", zone, first)
		}
	}
	if again, _ := edgetest.Adapt(t, file); string(again) != string(first) {
		t.Errorf("differs the second time: %s", again)
	}
}
