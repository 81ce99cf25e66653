package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/site"
)

func FuzzBearerHeader(f *testing.F) {
	for _, seed := range []string{"Bearer a.b.c", "bearer a", "Bearer  a", "Basic YTpi", "Digest a=b, Bearer x", "Bearer\ta", ",bearer"} {
		f.Add(seed, "")
	}
	f.Add("Basic YTpi", "Bearer x")
	f.Fuzz(func(t *testing.T, first, second string) {
		h := http.Header{"Authorization": {first}}
		if second != "" {
			h.Add("Authorization", second)
		}
		token, ok := request.Bearer(h)
		if ok && (second != "" || first != "Bearer "+token || token == "" || strings.ContainsAny(token, " ,\t\r\n\x00")) {
			t.Fatalf("%q, %q gave %q", first, second, token)
		}
		gate.DropBearer(h)
		if ok && h["Authorization"] != nil {
			t.Fatalf("%q kept", first)
		}
		for _, value := range h["Authorization"] {
			for _, part := range strings.Split(value, ",") {
				if words := strings.Fields(part); len(words) > 0 && strings.EqualFold(words[0], "bearer") {
					t.Fatalf("%q kept", value)
				}
			}
		}
	})
}

func TestDropBearerKeepsOtherSchemes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want []string }{
		{[]string{"Basic YTpi"}, []string{"Basic YTpi"}},
		{[]string{`Digest username="a", realm="bearer"`}, []string{`Digest username="a", realm="bearer"`}},
		{[]string{"Bearer x"}, nil},
		{[]string{"bEARER x"}, nil},
		{[]string{"bearer"}, nil},
		{[]string{"Bearer\tx"}, nil},
		{[]string{"Basic YTpi, Bearer x"}, nil},
		{[]string{"Basic YTpi", "Bearer x"}, nil},
		{[]string{"Basic YTpi", "Basic YTpj"}, nil},
	} {
		h := http.Header{"Authorization": c.in}
		gate.DropBearer(h)
		if diff := cmp.Diff(c.want, h["Authorization"]); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
	}
}

func TestOwnCookiesAreTaken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want []string }{
		{[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{"own=x"}, nil},
		{[]string{"a=1; own=x; b=\"q w\";c=3 ;"}, []string{"a=1; b=\"q w\";c=3 ;"}},
		{[]string{"own=x; a=1"}, []string{"a=1"}},
		{[]string{"a=1; own=x"}, []string{"a=1"}},
		{[]string{"__Secure-own=x; __Host-own=y; own = z;a=1"}, []string{"a=1"}},
		{[]string{"own", "a=1", "own=2; own=3"}, []string{"a=1"}},
		{[]string{"OWN=x; owner=1; xown=2"}, []string{"OWN=x; owner=1; xown=2"}},
		{[]string{`a="1; own=x; "`}, []string{`a="1; "`}},
	} {
		h := http.Header{"Cookie": c.in}
		found := site.CookieNames{"own", "device"}.Take(h)
		if diff := cmp.Diff(c.want, h["Cookie"]); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
		if found == cmp.Equal(c.in, c.want) {
			t.Errorf("%q: reported %v", c.in, found)
		}
	}
}
