// Package passkeytest is a browser with a passkey provider for tests: it answers
// the options of a relying party as navigator.credentials.create and get do, in
// the JSON of WebAuthn level 3 (section 5.1). Its flags, counters and client data
// can be bent, so that a test sees what a relying party refuses.
//
// It is written from the specification and shares no code with what verifies its
// answers.
package passkeytest
