package answer

import (
	"net/http"
	"strconv"
	"sync"

	"mana.how/edge/caddymodule/pages"
)

var hosted = sync.OnceValues(pages.New)

// Page answers a navigation on an app's own site with one of the hosted pages.
// No site may frame it, and it keeps no hold on the window that opened it: a
// click on it is the user's own.
func Page(w http.ResponseWriter, r *http.Request, status int, view pages.View) error {
	rendered, err := hosted()
	if err != nil {
		return err
	}
	out, nonce, err := rendered.Render(pages.LanguageOf(r.Header.Get("Accept-Language")), view)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, err = w.Write(out)
	return err
}
