package answer

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"mana.how/edge/caddymodule/pages"
)

var hosted = sync.OnceValues(pages.New)

// Page answers a navigation on an app's own site with one of the hosted pages,
// which leads home to base and needs nothing from the site. A wait above zero
// is told as Retry-After. It keeps no hold on the window that opened it: a click
// on it is the user's own.
func Page(w http.ResponseWriter, r *http.Request, base *url.URL, status int, wait time.Duration, view pages.View) error {
	rendered, err := hosted()
	if err != nil {
		return err
	}
	out, nonce, err := rendered.RenderAway(pages.LanguageOf(r.Header.Get("Accept-Language")), view, base.String())
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
