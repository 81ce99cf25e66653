package app_test

import (
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
)

// Every way to an app that leads around the guard is a fault that names it.
func TestWaysAroundTheGuardAreFaults(t *testing.T) {
	edgetest.StopAtEnd(t)
	const app = "{\n\tmana {\n\t\tbase_url https://auth.example.test\n\t}\n}\n"
	for _, c := range []struct{ sites, fault string }{
		{"http://a.test:8080 {\n mana_auth\n try_files {path} =404\n handle_errors {\n  reverse_proxy 127.0.0.1:1\n }\n}", "127.0.0.1:1 (handle_errors"},
		{"http://a.test:8080 {\n route {\n  reverse_proxy /x 127.0.0.1:1\n  mana_auth\n  reverse_proxy 127.0.0.1:2\n }\n}", "127.0.0.1:1"},
		{"http://a.test:8080 {\n handle /x {\n  mana_auth\n  reverse_proxy 127.0.0.1:2\n }\n handle {\n  reverse_proxy 127.0.0.1:1\n }\n}", "127.0.0.1:1"},
		{"http://a.test:8080 {\n route {\n  forward_auth 127.0.0.1:1 {\n   uri /\n  }\n  mana_auth\n  reverse_proxy 127.0.0.1:2\n }\n}", "127.0.0.1:1"},
		{"&(app) {\n reverse_proxy 127.0.0.1:1\n}\nhttp://a.test:8080 {\n route {\n  invoke /x app\n  mana_auth\n  respond ok\n }\n}", "named route app"},
		{"http://a.test:8080 {\n mana_auth\n respond ok\n}\nhttp://a.test:8081 {\n reverse_proxy 127.0.0.1:1\n}", "127.0.0.1:1"},
		{":8080 {\n mana_auth\n respond ok\n handle_errors {\n  reverse_proxy 127.0.0.1:1\n }\n}", "127.0.0.1:1 (handle_errors"},
		{"http://a.test:8080 {\n mana_credits 5\n reverse_proxy 127.0.0.1:2\n}", "stands behind no mana_auth"},
		{"http://a.test:8080 {\n mana_auth off\n mana_credits 5\n reverse_proxy 127.0.0.1:2\n}", "stands behind no mana_auth"},
		// Where mana_auth lets no guests pass, they have no use for credits.
		{"http://a.test:8080 {\n mana_auth\n mana_credits 5 {\n  guest 20/day\n }\n reverse_proxy 127.0.0.1:2\n}", "has guest, but the mana_auth in front of it lets no guests pass"},
		{"http://a.test:8080 {\n @paid path /paid\n mana_auth @paid\n mana_credits @paid 5 {\n  guest 20/day\n }\n reverse_proxy 127.0.0.1:2\n}", "lets no guests pass; write mana_auth optional"},
		{"http://a.test:8080 {\n handle /paid {\n  mana_auth\n  mana_credits 5 {\n   guest 20/day\n  }\n  reverse_proxy 127.0.0.1:2\n }\n handle {\n  mana_auth optional\n  reverse_proxy 127.0.0.1:2\n }\n}", "lets no guests pass"},
		{"http://a.test:8080 {\n mana_auth off\n mana_credits 5 {\n  guest 20/day\n }\n reverse_proxy 127.0.0.1:2\n}", "stands behind no mana_auth"},
		// Behind a mana_api for all requests nothing is met.
		{"http://a.test:8080 {\n @register path /register\n respond @register 403\n mana_api\n}", "site a.test: respond has no effect"},
		{"http://a.test:8080 {\n mana_api\n file_server\n}", "site a.test: file_server has no effect"},
		{"http://a.test:8080 {\n mana_auth\n mana_api\n reverse_proxy 127.0.0.1:1\n}", "site a.test: reverse_proxy has no effect"},
		{":8080 {\n mana_api\n metrics /metrics\n}", "metrics has no effect, for mana_api answers every request before it"},
		{"http://a.test:8080 {\n route {\n  mana_api\n  respond ok\n }\n}", "site a.test: respond has no effect"},
		{"http://a.test:8080 {\n handle {\n  mana_api\n }\n respond ok\n}", "give mana_api a matcher, or put each into a handle block"},
	} {
		err := edgetest.Validate(t, app+c.sites)
		if err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s\n%v", c.sites, err)
		}
	}
	for _, sites := range []string{
		"http://a.test:8080 {\n mana_auth optional\n mana_credits 5 {\n  guest 20/day\n }\n reverse_proxy 127.0.0.1:2\n}",
		"http://a.test:8080 {\n @admin path /admin\n @paid path /paid\n mana_auth @admin\n mana_auth @paid optional\n mana_credits @paid 5 {\n  guest 20/day\n }\n reverse_proxy 127.0.0.1:2\n}",
		"http://a.test:8080 {\n handle /admin {\n  mana_auth\n  reverse_proxy 127.0.0.1:2\n }\n handle {\n  mana_auth optional\n  mana_credits 5 {\n   guest 20/day\n  }\n  reverse_proxy 127.0.0.1:2\n }\n}",
		"http://a.test:8080 {\n @register path /register\n handle @register {\n  respond 403\n }\n redir /old /new\n abort /x\n error /y 404\n mana_api\n}",
		"http://a.test:8080 {\n mana_api /api/*\n respond ok\n}\nhttp://b.test:8080 {\n mana_api\n}\nhttp://c.test:8080 {\n respond ok\n}",
		"http://a.test:8080 {\n handle /api/* {\n  mana_api\n }\n handle {\n  respond ok\n }\n}",
		"http://a.test:8080 {\n route {\n  respond /x ok\n  mana_api\n }\n handle_errors {\n  respond sorry\n }\n}",
		"http://a.test:8080 {\n @some path /x\n mana_auth @some\n reverse_proxy 127.0.0.1:1\n}",
		"http://a.test:8080 {\n mana_auth\n reverse_proxy 127.0.0.1:1\n handle_errors {\n  mana_auth off\n  reverse_proxy 127.0.0.1:1\n }\n}",
		"http://a.test:8080 {\n handle /x {\n  mana_auth off\n  reverse_proxy 127.0.0.1:1\n }\n handle {\n  mana_auth\n  reverse_proxy 127.0.0.1:1\n }\n}",
		"http://a.test:8080 {\n mana_auth\n forward_auth 127.0.0.1:1 {\n  uri /\n }\n reverse_proxy 127.0.0.1:2 {\n  @e status 404\n  handle_response @e {\n   reverse_proxy 127.0.0.1:3\n  }\n }\n}",
		"http://a.test:8080 {\n mana_auth\n respond ok\n}\nhttp://b.test:8080 {\n reverse_proxy 127.0.0.1:1\n}\n:8080 {\n reverse_proxy 127.0.0.1:1\n}",
	} {
		if err := edgetest.Validate(t, app+sites); err != nil {
			t.Errorf("%s\n%v", sites, err)
		}
	}
}

// What the guard promises, past reverse_proxy.
func TestGuardOnTheWire(t *testing.T) {
	w := edgetest.StartWire(t, "servers {\n\ttrusted_proxies static 127.0.0.0/8\n}", map[string]string{
		"auth":  "mana_api",
		"some":  "@admin path /admin*\nmana_auth @admin {\n role admin\n}\nmana_rate_limit /limited 1000/1h\nreverse_proxy $UPSTREAM",
		"plain": "mana_auth optional\nreverse_proxy $UPSTREAM",
		"lax":   "@admin path /admin*\nmana_auth @admin {\n role admin\n paths lax\n}\nreverse_proxy $UPSTREAM",
	})
	forged := []edgetest.Field{{"x-probe", "a"}, {"x-mana-user-id", "root"}, {"cookie", "a=1; __Secure-mana.session_token=x.y"}}
	for _, c := range []struct {
		method, site, path string
		early              bool
		status             int
	}{
		{"GET", "some", "/", false, 200},
		{"GET", "some", "/admin", false, 401},
		{"GET", "some", "/;x/admin", false, 400},
		{"GET", "some", "/%5cadmin", false, 400},
		{"GET", "some", "/x/..;/admin", false, 400},
		{"GET", "some", "/a%2fb", false, 200},
		{"GET", "plain", "/a;b", false, 200},
		{"GET", "plain", "/%2e%2e/a", false, 400},
		{"GET", "lax", "/a;b", false, 200},
		{"GET", "lax", "/a%5cb", false, 200},
		{"GET", "lax", "/admin;x", false, 401},
		{"GET", "lax", "/x/..;/admin", false, 400},
		{"GET", "some", "/", true, 200},
		{"GET", "some", "/limited", true, 425},
		{"POST", "plain", "/", true, 425},
		{"POST", "auth", "/api/v1/auth/login", true, 425},
	} {
		x := edgetest.NewRawRequest(w, c.method, c.site, c.path, forged...)
		if c.early {
			x.Fields = append(x.Fields, edgetest.Field{"early-data", "1"})
		}
		got := edgetest.SendHTTP1(t, w, x)
		if got.Status != c.status {
			t.Errorf("%s %s %s, early %v: %d %s", c.method, c.site, c.path, c.early, got.Status, got.Body)
		}
		if r := w.Upstream.Last(); r != nil && (r.Header.Get("X-Mana-User-Id") != "" || r.Header.Get("Cookie") != "a=1" || c.early != (r.Header.Get("Early-Data") == "1")) {
			t.Errorf("%s %s: the app got %v", c.site, c.path, r.Header)
		}
		w.Upstream.WantProxied(t, c.path)
	}
}
