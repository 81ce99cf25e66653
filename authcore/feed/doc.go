// Package feed is how an edge hears what others have done: what was revoked, which
// keys and users have changed. PostgreSQL tells by NOTIFY, Redis beside it; what was
// not heard is read.
package feed
