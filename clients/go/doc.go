// Package manaid is for apps behind Mana Edge: who a request acts for, and the
// edge's API.
//
// An app that can be reached through the edge alone reads the headers that the gate
// writes:
//
//	who, ok := manaid.FromRequest(r)
//
// An app that does not trust its network asks the gate for assertions (`mana_auth {
// assertion }`) and verifies them. An app that takes access tokens from clients
// verifies those:
//
//	v := manaid.NewVerifier(manaid.VerifierConfig{Issuer: "https://auth.mana.how", Audience: "chat.mana.how"})
//	mux.Handle("/", v.RequireAssertion(app))
//	claims, err := v.Token(ctx, bearer)
//
// What is verified here is the signature and what the token says. A session that was
// revoked since then passes until its token expires, 15 minutes at most by default;
// the gate, and [Client.Validate], know at once.
package manaid
