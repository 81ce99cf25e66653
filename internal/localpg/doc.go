// Package localpg runs a private PostgreSQL for this process: the database of an
// installation that names none.
//
// # What lives where
//
// One directory belongs to one server:
//
//	lock               held while a process runs the server; the kernel drops it with the process
//	credentials.json   passwords and address, mode 0600
//	postgres.log       the server's own log; set aside to postgres.log.1 at a start past 10 MiB
//	data/              the data directory (PGDATA)
//	run/               the UNIX socket, mode 0700
//	postgresql-<v>/    binaries, where they had to be fetched
//	cluster            a link, in place of the last three, if they live elsewhere
//
// PostgreSQL refuses to run as root. A process of root starts it as the owner of
// the data directory, for a new one as the user "postgres" or "nobody". That user
// must be able to pass every directory above the data, and this package changes
// no directory but its own: where it cannot (below /root, in Caddy's own 0700
// data directory), a new cluster is made in /var/lib/mana-edge/<hash of the
// directory> and linked. A container that keeps only one volume names a directory
// directly below it. A link to a cluster that is gone is an error, never a new
// and empty database.
//
// # Who may connect
//
// The server listens on its socket only; on a free loopback port where the
// socket's path would exceed what the system allows. Every connection proves a
// random password (SCRAM-SHA-256). Requests are served as the role "mana", no
// superuser, who owns the database "mana" and may create roles. No password
// stands on a command line, in an environment or in a log.
//
// # Life and death
//
// The server outlives contexts and reloads, and ends with [Server.Stop]. If it
// dies it is started again after 100 ms, then ever later up to 30 s. If this
// process dies without Stop the server goes on by itself; the next [Start] on the
// directory sees that the lock is free, stops that server and starts its own.
//
// A data directory of another major version is refused with [ErrMajorVersion].
//
// The package needs a UNIX system.
//
// It is larger than others because most of it is the life of one server process:
// who owns the directory, who starts, attaches and stops.
package localpg
