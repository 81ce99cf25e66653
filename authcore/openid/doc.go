// Package openid is what the OpenID provider knows of its clients, and the rows of
// what it gives them: authorization codes, device codes, access tokens and consents
// (RFC 6749, RFC 8628, OpenID Connect Core). Sessions and refresh families are those
// of authcore, which composes both; the protocol is served by the API.
//
// # Threat model
//
// Who reads the database gets nothing that a client could show: codes, tokens and
// the secrets of clients are stored as SHA-256, and each has 128 random bits at
// least, so that no slow hash is needed. A code is taken once, whoever comes first;
// when it comes again, what it gave ends. A redirect leads to an address that was
// registered, letter by letter, or to another port of the same machine for an app
// that is public (RFC 8252, section 7.3).
package openid
