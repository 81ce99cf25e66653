// Package request is what handlers of this module know of a request: who it
// acts for once a gate has authenticated it, the cookies the client sent, its
// bearer token, the origin it asked for and the address it came from. The gate
// writes it; rate limit, meter and API read it.
package request
