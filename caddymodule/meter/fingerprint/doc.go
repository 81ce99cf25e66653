// Package fingerprint tells the bodies of requests apart while they stream to the
// app, whole or read in part, without keeping them.
package fingerprint
