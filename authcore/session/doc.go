// Package session is the rows of auth.sessions and of what hangs on them: refresh
// families, events, mails about new devices. Whatever ends a session goes through
// it, so that every edge hears of it.
package session
