// Package passkey is a relying party of WebAuthn level 3: it registers the
// passkeys of accounts, and verifies them when somebody signs in, proves a second
// factor or authenticates again.
//
// A ceremony has two calls. The first makes options for the browser and a state,
// which the caller keeps in a cookie; the second takes the state and the
// browser's response:
//
//	RegistrationOptions -> navigator.credentials.create -> RegisterTx
//	SignInOptions       -> navigator.credentials.get    -> VerifyTx
//
// # What is defended against
//
// The browser is a stranger. It can send any state and any response, as often as
// it likes and to several edges at once. A state is authenticated by the key of
// the relying party, serves one kind of ceremony, and ends after [StateTTL]. Its
// challenge is taken once over all edges, in the transaction of what it proves.
// Nothing is written for who only asks for options, or whose response does not
// verify.
//
// A page of another site cannot use what it gets: the origin that the browser
// reports has to be one that [Config] allows, in a frame of no other origin, and
// the authenticator signs for the id of this relying party only.
//
// Who reads the database cannot sign in: it holds public keys. A copied
// authenticator is noticed by its counter ([ErrCloned]) where it has one; synced
// passkeys have none.
//
// Attestation is neither asked for nor trusted: what a passkey says of its model
// and of how it is kept is its own word.
package passkey
