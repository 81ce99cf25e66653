// Package validate fills the request type of a route with what a client sent,
// and lists every rule that the client broke, not the first alone.
//
// The rules and the texts of their violations are those of class-validator,
// which clients show to people: that is why no library words them. The same
// tags make the schemas of the OpenAPI document.
package validate
