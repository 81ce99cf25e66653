// Package apikey is the keys by which programs act for a user: what they look
// like, what they may do, and their rows.
//
// # Threat model
//
// Who reads the database has no key: it holds SHA-256 digests. Keys have 128
// random bits, so that no slow hash is needed and none is guessed. A key is shown
// once, when it is made; its first characters are kept, to tell keys apart.
//
// A key may be bound: to scopes, to a time, to the addresses it is used from, to
// a rate and to a budget of credits. It acts for one user, and for one of an
// organisation only while they are owner or admin there. It dies with its user.
package apikey
