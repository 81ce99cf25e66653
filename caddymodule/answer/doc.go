// Package answer is how this module answers in its own name: the error body of
// the wire contract, and what lets pages of trusted origins read it (CORS).
// Gate, rate limit, meter and API share it.
package answer
