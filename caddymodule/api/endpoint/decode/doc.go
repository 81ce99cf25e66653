// Package decode reads the body of a request, JSON or a form, into named fields
// without knowing what a route expects of them: package validate does.
//
// It refuses bodies that nest too deeply or are not UTF-8. Fields that came
// twice, and texts that PostgreSQL cannot store (a NUL, half a surrogate pair),
// are noted at the field instead, for an answer that names it. That is why the
// standard library's scanner reads here and no stricter one: those fail as a
// whole, and the text of what is malformed is the standard library's.
package decode
