// Package lockout slows down guessing of what one account signs in with: from so
// many wrong tries in 15 minutes on, ten of the password, the account answers
// [Error], for one minute, then two, up to an hour. Counting is by account and, for
// a device that has signed in to it before, by that device: a stranger's tries do
// not lock the owner out. The counters are rows of auth.lockouts, by PostgreSQL's
// clock, so that neither more edges nor restarts give more tries.
package lockout
