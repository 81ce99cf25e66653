package endpoint_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/api/endpoint"
)

// ask sends a request and returns status, header and body.
func ask(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

type pair struct {
	One string `path:"one" rule:"string"`
	Two string `path:"two" rule:"string"`
}

type texts struct {
	Route string `json:"route"`
	One   string `json:"one,omitempty"`
	Two   string `json:"two,omitempty"`
}

func named(route string) endpoint.Handler {
	return endpoint.Handle(func(context.Context, *endpoint.Call, endpoint.None) (texts, error) { return texts{Route: route}, nil })
}

// A path has one spelling: nothing is cleaned, redirected or decoded before it
// is compared; only what stands for a parameter is decoded.
func TestPaths(t *testing.T) {
	t.Parallel()
	h, err := serve(
		endpoint.Get("/", named("root"), endpoint.Rule{}),
		endpoint.Get("/a/me", named("me"), endpoint.Rule{}),
		endpoint.Get("/a/{one}/b/{two}", endpoint.Handle(func(_ context.Context, _ *endpoint.Call, req pair) (texts, error) {
			return texts{"both", req.One, req.Two}, nil
		}), endpoint.Rule{}),
		endpoint.Delete("/a/{one}", named("delete"), endpoint.Rule{}),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		status       int
		want         string // the body, or Allow where it is refused
	}{
		{"GET", "/", 200, `{"route":"root"}`},
		{"GET", "/a/me", 200, `{"route":"me"}`},
		{"GET", "/a/me/", 200, `{"route":"me"}`},
		{"HEAD", "/a/me", 200, ""},
		{"DELETE", "/a/me", 200, `{"route":"delete"}`},
		{"GET", "/a/x%2Fy/b/%20", 200, `{"route":"both","one":"x/y","two":" "}`},
		{"GET", "/a/me/b/me", 200, `{"route":"both","one":"me","two":"me"}`},
		{"GET", "/a/..%2f/b/..", 200, `{"route":"both","one":"../","two":".."}`},
		{"GET", "/a//b/x", 404, ""},
		{"GET", "/a/x/b//", 404, ""},
		{"GET", "/a/x/%62/y", 404, ""},
		{"GET", "/%61/me", 404, ""},
		{"GET", "//a/me", 404, ""},
		{"GET", "/a/./me", 404, ""},
		{"GET", "/b/../a/me", 404, ""},
		{"GET", "/A/me", 404, ""},
		{"GET", "/a/me//", 404, ""},
		{"GET", "/a/x", 405, "DELETE, OPTIONS"},
		{"POST", "/a/me", 405, "GET, DELETE, HEAD, OPTIONS"},
		{"BREW", "/a/me", 405, "GET, DELETE, HEAD, OPTIONS"},
		{"OPTIONS", "/a/me", 204, "GET, DELETE, HEAD, OPTIONS"},
		{"POST", "/*", 404, ""},
		{"GET", "/a/{one}/b/{two}", 200, `{"route":"both","one":"{one}","two":"{two}"}`},
	} {
		w := ask(t, h, c.method, c.path)
		got := w.Header().Get("Allow")
		if c.status == 200 {
			got = w.Body.String()
		}
		if w.Code != c.status || got != c.want {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, w.Code, got, c.status, c.want)
		}
	}
}

func TestTwoRoutesOfOnePath(t *testing.T) {
	t.Parallel()
	if _, err := serve(endpoint.Get("/a", named("x"), endpoint.Rule{}), endpoint.Get("/a", named("y"), endpoint.Rule{})); err == nil {
		t.Error("two routes for GET /a")
	}
}

// A route that is switched off refuses before it looks at anything.
func TestClosed(t *testing.T) {
	t.Parallel()
	h, err := serve(endpoint.Post("/a", named("a"), endpoint.Rule{Access: endpoint.User, Closed: endpoint.ErrRegistrationClosed}))
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(t, h, "POST", "/a"); w.Code != 403 || !strings.Contains(w.Body.String(), "REGISTRATION_CLOSED") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A core that is away is told from an error that nobody knows.
func TestCoreAway(t *testing.T) {
	t.Parallel()
	away := func(context.Context) (int, error) { return 0, errors.New("no database") }
	there := func(context.Context) (int, error) { return 7, nil }
	fails := func(_ context.Context, _ *endpoint.Call, core int, _ endpoint.None) (texts, error) {
		if core != 7 {
			t.Errorf("core %d", core)
		}
		return texts{}, errors.New("secret")
	}
	h, err := serve(
		endpoint.Get("/away", endpoint.HandleWith(away, fails), endpoint.Rule{}),
		endpoint.Get("/unknown", endpoint.HandleWith(there, fails), endpoint.Rule{}),
	)
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(t, h, "GET", "/away"); w.Code != 503 || w.Header().Get("Retry-After") != "5" {
		t.Errorf("away: %d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "GET", "/unknown"); w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "requestId") {
		t.Errorf("unknown: %d %s", w.Code, w.Body)
	}
}
