// Package issuer knows the keys of another service whose access tokens are taken too,
// during a move from one to the other.
//
// Threat model: whoever controls the other service, or the way to its key set, can
// speak for any user of this one; the admin who names it accepts that. It cannot
// make a key of ours verify what we did not sign, keep an answer for others waiting, fill
// memory, or have more than a few requests sent to it, whatever tokens strangers show.
package issuer
