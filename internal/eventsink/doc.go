// Package eventsink writes events for programs that watch over security (SIEM):
// a line of JSON each (https://jsonlines.org), to the standard output, to a file,
// or as the body of a signed POST. It knows nothing of what is in them.
package eventsink
