// Package grant is what clients of the OpenID provider are given, and what ends it:
// consent, codes, device codes, sessions with their tokens, logouts they are told of;
// and the clients themselves. The rows, and what a client may be, are in package
// openid; the endpoints are in the API.
package grant
