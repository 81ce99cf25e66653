// Package openapi writes the OpenAPI 3.1 document of a table of routes, out of
// the same declarations that the routes run by: types, rules, access, limits
// and errors. Nothing of it is written by hand, so it cannot be forgotten.
package openapi
