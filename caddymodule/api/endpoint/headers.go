package endpoint

import "net/http"

// secure sets the security headers. They are those of JSON answers; a page
// replaces the policies by its own.
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
