package answer

import "net/http"

// SecurePage sets the policies of a page of ours. It runs no script at all, but for
// [AllowScript], and only the style that carries the nonce; images and forms are sources of the
// Content Security Policy. Browsers hold form-action against the redirect that
// follows a form too. No site may frame the page.
//
// Referrer-Policy must not be no-referrer here: it would make browsers send
// "Origin: null" with the page's own forms.
func SecurePage(h http.Header, nonce, images, forms string) {
	h.Set("Content-Security-Policy", "default-src 'none';style-src 'nonce-"+nonce+"';img-src "+images+";"+
		"form-action "+forms+";frame-ancestors 'none';base-uri 'none'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// AllowScript lets a page that [SecurePage] has set the policies of run the script
// that carries the nonce, and lets that ask its own origin.
func AllowScript(h http.Header, nonce string) {
	h.Set("Content-Security-Policy", h.Get("Content-Security-Policy")+";script-src 'nonce-"+nonce+"';connect-src 'self'")
}
