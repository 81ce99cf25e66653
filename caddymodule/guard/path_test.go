package guard_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"mana.how/edge/caddymodule/guard"
)

func pathError(path string, strict bool) error {
	r := httptest.NewRequest("GET", "https://app.example.test/", nil)
	u, err := r.URL.Parse("/")
	if err != nil {
		return err
	}
	u.Path, u.RawPath = path, ""
	r.URL, r.RequestURI = u, path
	return guard.CheckPath(r, func(*http.Request) bool { return strict })
}

func TestDotSegmentsAreRefusedInAnyDisguise(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/..", "/../admin", "/a/../b", "/./a", "/a/.", "/..;/admin", "/x/..;a=b/admin", `/..\admin`, `/a\..\b`, "/..%2fadmin", "/..%2Fadmin",
		"/..%5cadmin", "/%2e%2e/admin", "/%2e./x", "/.%2E/x", "/%252e%252e/x", "/%252e%252e%252fx", "/%25252e%25252e/x", "/a%2f..%2fb", "/a%2f..",
		"/%2e%2e%3b/x", "/..%00/x", "/..%20/x", "/%c0%ae%c0%ae/x", "/..%c0%afx", "/%ef%bc%8e%ef%bc%8e/x", "/%E2%80%A5/x",
	} {
		for _, strict := range []bool{false, true} {
			if err := pathError(path, strict); !errors.Is(err, guard.ErrPath) {
				t.Errorf("%s, strict %v: %v", path, strict, err)
			}
		}
	}
}

func TestHonestPathsPass(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/", "/a/b.c", "/.well-known/x", "/...", "/a..b", "/a./b", "/..a", "/a%2fb", "/a%252fb", "/%20", "/caf%c3%a9", "/%", "/100%25", "//x", "/a:b@c", "/~a",
	} {
		if err := pathError(path, true); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSpellingsAreRefusedWhereAMatcherDecides(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/;x/admin", `/\admin`, "/%5cadmin", "/%5Cadmin", "/api;x/generate", `/api\generate`, "/api%3bx", "/%253bx", "/%255cadmin", "/%2561dmin"} {
		if err := pathError(path, true); !errors.Is(err, guard.ErrPath) {
			t.Errorf("%s: %v", path, err)
		}
		if err := pathError(path, false); err != nil {
			t.Errorf("%s, where none decides: %v", path, err)
		}
	}
}

func TestEarlyData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		complete, trusted bool
		header            []string
		early             bool
		on                string
	}{
		{true, false, nil, false, ""},
		{false, false, nil, true, "1"},
		{true, true, []string{"1"}, true, "1"},
		{true, false, []string{"1"}, false, ""},
		{false, false, []string{"0", "x"}, true, "1"},
	} {
		r := httptest.NewRequest("GET", "https://app.example.test/", nil)
		r.TLS = &tls.ConnectionState{HandshakeComplete: c.complete}
		if c.header != nil {
			r.Header["Early-Data"] = c.header
		}
		if got := guard.Early(r, c.trusted); got != c.early || r.Header.Get("Early-Data") != c.on || len(r.Header["Early-Data"]) > 1 {
			t.Errorf("%+v: %v, %q", c, got, r.Header["Early-Data"])
		}
	}
}

func TestMakePrivate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                "private",
		"public, s-maxage=9999":           "private",
		"max-age=60, PUBLIC":              "private, max-age=60",
		"no-store":                        "no-store",
		`private="Set-Cookie", max-age=5`: "private, max-age=5",
		`no-cache="A, B", S-MaxAge=1`:     `private, no-cache="A, B"`,
	} {
		h := http.Header{"Cdn-Cache-Control": {"max-age=1"}, "Surrogate-Control": {"max-age=1"}, "X-Accel-Expires": {"1"}}
		if in != "" {
			h["Cache-Control"] = []string{in}
		}
		if guard.IsPrivate(h) {
			t.Errorf("%q is private already", in)
		}
		if guard.MakePrivate(h); h.Get("Cache-Control") != want || len(h) != 1 || !guard.IsPrivate(h) {
			t.Errorf("%q: %v", in, h)
		}
	}
}

func TestSetCookieName(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"mana.session_token=a", " mana.session_token = a; Path=/", "__Secure-mana.session_token=a", "__HOST-mana.session_token=a",
		"=mana.session_token=a", "= __Secure-mana.session_token=a", "mana.session_token; Max-Age=0",
	} {
		if got := guard.SetCookieName(value); got != "mana.session_token" {
			t.Errorf("%q: %q", value, got)
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	r := httptest.NewRequest("GET", "https://app.example.test/api/v1/items/42?a=b", nil)
	b.ReportAllocs()
	for b.Loop() {
		if guard.Check(r) != nil || guard.CheckPath(r, nil) != nil || guard.Early(r, false) {
			b.Fatal("refused")
		}
	}
}
