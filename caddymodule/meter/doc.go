// Package meter is the directive mana_credits: it charges the signed-in user for
// a request, before the app works on it.
package meter
