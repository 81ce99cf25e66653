// Package api is the HTTP surface of Mana Edge: the JSON API and the handlers
// of the hosted pages. [routes] is its index; a path that is not in it is
// answered with 404 and the text "Cannot <METHOD> <path>".
//
// # One request
//
//	security headers → CORS → route → limit by client address →
//	Bearer token or service key → body → handler → answer, or the one table of errors
//
// A handler is a function from a decoded request to an answer or an error; it
// cannot skip a phase. Decoding bounds the body and lists every fault of its
// fields at once. One table (see faults) turns errors of the cores into status,
// code and text; what it does not know is a 500 with a fixed text and an id,
// under which the log has the error.
//
// # Threat model
//
// Anybody on the Internet sends any bytes. No answer tells internals, no
// error names a query string, no text from outside reaches SQL with NUL or
// half a surrogate, a page or a metric label unescaped. What changes
// something under a cookie must come from the same site or a trusted origin,
// and redirects lead to trusted origins only; both are authcore's parsed
// list, never a comparison of prefixes.
package api
