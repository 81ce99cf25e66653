// Package guard decides what never gets on to an app, whoever sends it. It
// knows requests and nothing of Caddy, users or the database, and what it
// does for a request without fault costs no allocation.
//
// # Threat
//
// A client of the edge writes every byte of its request. An app believes what
// the edge passes on: the identity headers, and that each message on the
// connection is one that the edge has looked at. So the client must have no
// way to make an app read
//
//   - a second request in what the edge took for the body of the first;
//   - an identity header, or a cookie of the edge, that is not the edge's;
//   - another path than the one the edge matched.
package guard
