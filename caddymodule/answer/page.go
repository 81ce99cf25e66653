package answer

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

var unbranded = sync.OnceValues(pages.New)

// Hosted is where the hosted pages are, and whose they are.
type Hosted struct {
	BaseURL *url.URL
	Brand   pages.Brand
}

// Page answers a navigation on an app's own site with one of the hosted pages,
// which leads home to them and needs nothing from the site. A wait above zero
// is told as Retry-After. It keeps no hold on the window that opened it: a click
// on it is the user's own.
func (s Hosted) Page(w http.ResponseWriter, r *http.Request, status int, wait time.Duration, view pages.View) error {
	plain, err := unbranded()
	if err != nil {
		return err
	}
	out, nonce, err := plain.With(s.Brand).RenderAway(pages.LanguageOf(r.Header.Get("Accept-Language")), view, s.BaseURL.String())
	if err != nil {
		return err
	}
	h := w.Header()
	if wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(Seconds(wait), 10))
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	SecurePage(h, nonce, "data:", "'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, err = w.Write(out)
	return err
}

// Refuse answers a navigation with a page that says what the error is and what
// to do, and everything else with the error itself: also what only programs get,
// such as an idempotency key that is none.
func (s Hosted) Refuse(w http.ResponseWriter, r *http.Request, e Error) error {
	explained := e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests || e.Status >= 500
	if !explained || !request.IsNavigation(r) {
		return e.Write(w, r)
	}
	return s.Page(w, r, e.Status, e.RetryAfter, pages.Notice{Code: e.Code, Wait: e.RetryAfter})
}
