// Package edgetest is what the tests of the edge share: a running Caddy with sites
// before an app, users and their credentials, clients that write HTTP/1.1, HTTP/2
// and HTTP/3 by hand, and the commands.
//
// It is larger than others because three protocols are written by hand in it.
package edgetest
