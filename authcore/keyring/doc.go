// Package keyring is the signing keys in the database: read, made, sealed anew,
// rotated and revoked. What a key is, and what it signs, is in package token.
package keyring
