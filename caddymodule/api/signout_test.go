package api_test

import (
	"net/url"
	"strings"
	"testing"
)

// An app leads to the sign-out by a link, and its user comes back to it; to nowhere that
// is not trusted, and nobody is signed out before they have said so.
func TestSignOutLinkOfAnApp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.register("ada@example.test")
	live := func(cookie header) bool {
		return s.send("GET", "/api/auth/get-session", nil, cookie).status(200).body != "null"
	}
	const back = app + "/bye?from=chat"
	for target, leads := range map[string]bool{back: true, "https://evil.test/": false, "//evil.test/": false, "javascript:alert(1)": false, "": false} {
		cookie := s.signIn("ada@example.test")
		page := s.send("GET", "/sign-out?returnUrl="+url.QueryEscape(target), nil, cookie).status(200)
		if strings.Contains(page.body, `name="returnUrl"`) != leads || strings.Contains(page.body, `name="returnUrl" value="`+back+`"`) != leads || strings.Contains(page.body, `<a href="`+back+`">`) != leads {
			t.Errorf("%q: the page leads elsewhere: %s", target, page.body)
		}
		if csp := page.header.Get("Content-Security-Policy"); strings.Contains(csp, app) != leads {
			t.Errorf("%q: the form may lead by %s", target, csp)
		}
		form := url.Values{"returnUrl": {target}}.Encode()
		s.send("POST", "/sign-out", form, asForm, with("Origin", app), cookie).status(403)
		if !live(cookie) {
			t.Fatal("an app signed its user out without their word")
		}
		if leads {
			if to := s.send("POST", "/sign-out", form, asForm, with("Origin", base), cookie).status(303).location(); to.String() != back {
				t.Errorf("led to %s", to)
			}
		} else {
			s.send("POST", "/sign-out", form, asForm, with("Origin", base), cookie).status(200)
		}
		if live(cookie) {
			t.Errorf("%q: still signed in", target)
		}
	}
}
