// Package notice is the mails that something in an account causes: what they are
// about, and who takes them.
package notice
