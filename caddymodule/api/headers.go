package api

import "net/http"

// secure sets the security headers of the wire contract. They are those of
// JSON answers; a page replaces the policies by its own.
func secure(h http.Header, https bool) {
	csp := "default-src 'self';script-src 'self' 'unsafe-inline';style-src 'self' 'unsafe-inline';" +
		"img-src 'self' data: https:;connect-src 'self';font-src 'self';object-src 'none';frame-ancestors 'none';" +
		"base-uri 'self';form-action 'self';script-src-attr 'none'"
	if https {
		csp += ";upgrade-insecure-requests"
	}
	h.Set("Content-Security-Policy", csp)
	h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Origin-Agent-Cluster", "?1")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-DNS-Prefetch-Control", "off")
	h.Set("X-Download-Options", "noopen")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("X-Permitted-Cross-Domain-Policies", "none")
	h.Set("X-XSS-Protection", "0")
}

// securePage replaces the policies of JSON answers by those of a page. It runs
// no script at all, and only the style that carries the nonce. Browsers hold
// form-action against the redirect that follows a form too, hence the target.
// Referrer-Policy must not be no-referrer here: it would make browsers send
// "Origin: null" with the page's own forms.
func securePage(h http.Header, nonce, formTarget string) {
	formAction := "'self'"
	if formTarget != "" {
		formAction += " " + formTarget
	}
	h.Set("Content-Security-Policy", "default-src 'none';style-src 'nonce-"+nonce+"';img-src 'self' data:;"+
		"form-action "+formAction+";frame-ancestors 'none';base-uri 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
}
