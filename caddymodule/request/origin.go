package request

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Origin is the origin that the client asked (RFC 6454): the scheme of its
// connection and the Host it named. X-Forwarded-Proto counts from proxies that
// the server's trusted_proxies name, X-Forwarded-Host never.
func Origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	} else if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if values := r.Header["X-Forwarded-Proto"]; len(values) == 1 && values[0] == "https" {
			scheme = "https"
		}
	}
	return scheme + "://" + r.Host
}

// Original is the request line as the client sent it, also after handle_path
// or rewrite.
func Original(r *http.Request) *http.Request {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return &original
	}
	return r
}
