// Package answer is how this module answers in its own name: the one error
// body, the policies of pages, and what lets pages of trusted origins read it (CORS).
// Gate, rate limit, meter and API share it.
package answer
