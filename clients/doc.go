// Package clients holds the clients of the edge, each a package of its own language: go
// (a module of its own), ts and python. Their test drives each against a running
// edge, as an app behind its gate and as a client of its API.
package clients
