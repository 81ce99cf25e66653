// Package authcore is identity: users, passwords, sessions, access tokens,
// signing keys and refresh token families. It knows PostgreSQL and nothing of
// Caddy; of HTTP it knows cookies and origins, never a response.
//
// # Threat model
//
// An attacker may hold a copy of the database, an old refresh token, an
// expired or foreign access token, any cookie value, and any number of
// client addresses. They must not gain a session from any of them.
//
//   - The database holds no secret in clear: passwords are argon2id hashes,
//     session tokens SHA-256 digests, signing keys sealed, and refresh tokens
//     are not stored at all but derived (see package refreshtoken).
//   - A token's verifier is picked by its key id, and the key fixes the
//     algorithm; the token's own word on it is only compared.
//   - A refresh token used twice outside a short grace revokes its family
//     (RFC 9700, section 4.14.2). One SQL statement decides, so no
//     interleaving of requests or edges forks a chain.
//   - A revocation is a row; it reaches every edge by NOTIFY, is honoured from
//     memory, and is read back at start.
//
// Every method that acts for someone takes the [principal.Caller], and writes
// what it did to auth.security_events in the same transaction. What is refused,
// such as a wrong password, has a transaction of its own.
//
// # Size
//
// The service has many files because sign-in, second factors, providers, proof of
// address and the end of an account change one account in the same transactions:
// each asks for what another has shown. What needs none of that stands in the packages
// below, and the service is composed of them: [verifier.Verifier] is what requests
// ask, [grant.Grants] what OpenID clients have, [membership.Directory] organisations.
package authcore
