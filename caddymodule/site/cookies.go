package site

import (
	"net/http"
	"slices"
	"time"

	"mana.how/edge/authcore"
)

// RenewCookie sends the SSO cookie again where the session's end has moved,
// once a response: the rate limit may have seen the same session before.
func RenewCookie(w http.ResponseWriter, auth *authcore.Service, b authcore.BrowserSession) {
	if !b.Renewed {
		return
	}
	s := b.Session()
	cookie := auth.Cookies().Set(b.Token, s.Persistent, time.Until(s.ExpiresAt).Round(time.Second))
	AddCookie(w, cookie)
}

// AddCookie sends a cookie of the edge, once, if the response turns out to be
// one that no shared cache keeps.
func AddCookie(w http.ResponseWriter, cookie string) {
	if a := appWriterOf(w); a == nil {
		w.Header().Add("Set-Cookie", cookie)
	} else if !slices.Contains(a.cookies, cookie) {
		a.cookies = append(a.cookies, cookie)
	}
}
