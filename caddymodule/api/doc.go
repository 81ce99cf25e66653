// Package api is the HTTP surface of Mana Edge: the JSON API and the handlers
// of the hosted pages. It composes the routes of one package a resource (auth,
// credit, gift, billing, page, health, docs) into one handler; how a request
// goes through a route is package endpoint's. A path that no route has is
// answered with 404 and the text "Cannot <METHOD> <path>".
//
// To change a route, open the package of its resource; to add a resource, add
// its Routes to the table.
//
// # Threat model
//
// Anybody on the Internet sends any bytes. No answer tells internals, no
// error names a query string, no text from outside reaches SQL with NUL or
// half a surrogate, a page or a metric label unescaped. What changes
// something under a cookie must come from the same site or a trusted origin,
// and redirects lead to trusted origins only; both are authcore's parsed
// list, never a comparison of prefixes.
package api
