// Package provider is the client side of sign-in by others: Google, Apple, GitHub
// and any OpenID provider. It asks for a code (OpenID Connect Core 1.0, section
// 3.1; for GitHub RFC 6749, section 4.1), always with PKCE by S256 (RFC 7636), and
// says who came back. Who that is here is not its matter.
//
// # Threat model
//
// A provider may be down, slow, hostile or wrong, and whoever holds the browser may
// bring an answer that belongs to somebody else (RFC 9700).
//
//   - What a provider sends is bounded in time, bytes and keys, no redirect is
//     followed, and each provider has its own connections: a slow one holds up
//     nobody but those who sign in with it.
//   - An ID token is taken when one of the provider's keys has signed it, by an
//     algorithm of public keys that the provider announces and the key is for; the
//     token's own word on it is only compared. Issuer, audience, authorized party,
//     times and nonce are checked (Core, section 3.1.3.7).
//   - A code of another sign-in fails by the nonce and by the verifier of PKCE, both
//     of which belong to one browser and one request.
//   - An answer of one provider does not pass for another's: each has a path of its
//     own to come back to, and the issuer in the answer is compared where there is
//     one (RFC 9207). One that announces to send it must.
//
// Discovery, codes and ID tokens are those of coreos/go-oidc and golang.org/x/oauth2.
// zitadel/oidc has a client too, but it discovers when it is made, so that a
// provider that is down would stop the start, it keeps state in cookies of its own,
// and reads bodies without bound. The key set is our own: neither bounds its size
// nor how often a stranger's key id makes it fetch.
package provider
