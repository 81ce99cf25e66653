// Package verifier tells who a request acts for: by an access token, ours, an accepted
// issuer's or an OpenID client's, by an SSO cookie, an API key or a ticket. It is what
// every request behind the gate asks, so it answers from memory; what is revoked is
// asked each time.
//
// It is larger than other packages because tokens, cookies and keys share what is in
// memory: a place that is full, a database that is away and a revocation that was
// missed mean the same to each.
package verifier
