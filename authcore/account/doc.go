// Package account is the rows of auth.users: what an account is, how it is read,
// locked and written, and the errors of that. Who may do so is for its callers to
// know.
package account
