// Package jwks fetches the key sets of other services (RFC 7517, section 5): bounded,
// once for all who ask at the same moment, and not whenever a stranger likes.
package jwks
