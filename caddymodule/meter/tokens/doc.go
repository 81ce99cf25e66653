// Package tokens reads from the answer of a language model, while it passes, how
// many tokens it used, and says what they cost.
//
// It knows the usage objects of OpenAI's chat completions, completions, embeddings and
// responses, and of Anthropic's messages, in JSON (RFC 8259) and in server-sent events
// (WHATWG HTML, section 9.2). Nothing of an answer is kept: of its text a scanner sees
// each byte once, whatever the pieces it comes in.
//
// An answer is untrusted. Where its usage object cannot be what it says it is
// ([Reader.Usage]), none of it counts.
package tokens
