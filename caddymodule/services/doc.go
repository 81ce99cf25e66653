// Package services is what lives behind the app: database, Redis, and the two
// cores, identity and ledger, which are wired to each other here and nowhere else.
//
// # What outlives a reload
//
// A [Runtime] is shared by all generations of the config whose settings are
// equal. When its last user is gone it waits for the last request, as long as the
// longest may last, then closes; when the process exits it closes at once. The
// embedded PostgreSQL is shared by its directory alone, so that changed settings
// do not restart it.
//
// It is larger than others because it alone composes the cores: each thing that both take
// part in (mails, erasure, logouts, pictures) is wired here in a file of its own.
package services
