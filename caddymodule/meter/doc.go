// Package meter is the directive mana_credits: it charges the signed-in user for
// a request, before the app works on it.
//
// It is larger than others because the parts of a metered request (charge, body,
// writer, refusal) share the state of that one request. What does not, prices,
// outcomes, tokens and fingerprints of bodies, has a package of its own.
package meter
