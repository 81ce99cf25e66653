package guard

import "strings"

// MayTrail reports whether a client may send the field as a trailer. What says
// how a message is framed, where it goes or whom it is from must not be one
// (RFC 9110, section 6.5.1): an app that merges trailers into its header would
// take it from the client after the edge has decided.
func MayTrail(name string) bool {
	switch lower := strings.ToLower(name); lower {
	case "authorization", "connection", "content-length", "cookie", "early-data", "expect", "forwarded", "host", "http2-settings",
		"idempotency-key", "keep-alive", "origin", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
		"upgrade", "via", "x-api-key", "x-real-ip", "x-service-key":
		return false
	default:
		return !strings.HasPrefix(lower, "x-forwarded-") && !strings.HasPrefix(lower, "sec-")
	}
}
