package ratelimit_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ulule/limiter/v3/drivers/store/memory"

	"mana.how/edge/caddymodule/ratelimit"
	"mana.how/edge/internal/edgetest"
)

// A page load over the limit gets a page that says when to try again.
func TestRateLimitPage(t *testing.T) {
	t.Parallel()
	l := rateLimit(nil, memory.NewStore(), &ratelimit.RateLimit{})
	base, err := url.Parse(edgetest.GateBase)
	if err != nil {
		t.Fatal(err)
	}
	l.BaseURL = base
	for range 2 {
		edgetest.Serve(t, l, from("192.0.2.1:1"))
	}
	for language, want := range map[string][]string{"de": {"Zu viele Anfragen", "Versuche es wieder in"}, "en": {"Too many requests", "Try again in"}} {
		w, up := edgetest.Serve(t, l, from("192.0.2.1:1", "Sec-Fetch-Mode: navigate", "Accept-Language: "+language))
		if up != nil || w.Code != 429 || w.Header().Get("Retry-After") == "" || w.Header().Get("X-RateLimit-Remaining") != "0" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %v", language, w.Code, w.Header())
		}
		for _, part := range append(want, `lang="`+language+`"`, w.Header().Get("Retry-After")+" ") {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s: no %q in %s", language, part, w.Body)
			}
		}
	}
}
