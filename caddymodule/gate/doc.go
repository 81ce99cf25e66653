// Package gate is the directive mana_auth: it finds out who a request acts for,
// decides whether they may pass, and tells the app who they are.
package gate
