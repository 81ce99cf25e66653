package request_test

import (
	"net/http"
	"testing"

	"mana.how/edge/caddymodule/request"
)

func TestBearer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{"Bearer abc"}, "abc"},
		{[]string{"Bearer abc", "Bearer abc"}, ""},
		{[]string{"bearer abc"}, ""},
		{[]string{"BEARER abc"}, ""},
		{[]string{"Bearer"}, ""},
		{[]string{"Bearer "}, ""},
		{[]string{"Bearer  abc"}, ""},
		{[]string{"Bearer abc def"}, ""},
		{[]string{"Bearer abc,Bearer def"}, ""},
		{[]string{"Bearer\tabc"}, ""},
		{[]string{"Bearer abc\x7f"}, ""},
		{[]string{"Bearer abc\u00e9"}, ""},
		{[]string{"Basic YTpi"}, ""},
		{[]string{"abc"}, ""},
	} {
		got, ok := request.Bearer(http.Header{"Authorization": c.headers})
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q, %v", c.headers, got, ok)
		}
	}
}
