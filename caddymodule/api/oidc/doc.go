// Package oidc serves the OpenID provider: what its clients call, and the pages on which
// users decide what a client may have. zitadel/oidc reads and answers the requests;
// what is decided, and what is kept, is authcore's.
//
// It is larger than others because one type of the library takes every request of the
// protocol; pages and registration are files beside it.
package oidc
