// Package membership is what users do as members of organisations, and operators to
// these: make, change, delete and hand over, invite and join, set roles, act in one.
// Whoever is something else in an organisation from then on gets other tokens. What
// roles may do, and the rows, are in package organization.
package membership
