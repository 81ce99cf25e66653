// Package gate is the directive mana_auth: it finds out who a request acts for,
// decides whether they may pass, and tells the app who they are.
//
// It is larger than others because each way to be known (token, key, ticket, cookie) and each
// thing that is told to the app is a file of its own around one request.
package gate
