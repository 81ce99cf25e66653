// Package upstream judges how an app's part of a request ended, by status, error
// or the trailer of gRPC, and which ends cost nothing.
package upstream
